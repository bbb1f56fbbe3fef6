import csv
import json

import pandas as pd
import pytest

from reports.export import disarm, write_table


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_is_disarmed(text):
    assert disarm(text) == f"'{text}"


def test_numbers_are_left_alone():
    assert disarm(-3.5) == -3.5 and disarm(None) == "" and disarm("1-1") == "1-1"


def test_csv_and_json_hold_the_same_rows(tmp_path):
    rows = [
        {"name": "=cmd()", "value": -1.5, "missing": pd.NA},
        {"name": 'a,"b"', "value": float("nan"), "missing": None},
    ]
    table, document = write_table(tmp_path, "t", rows)
    with open(table, newline="") as stream:
        assert list(csv.reader(stream)) == [["name", "value", "missing"], ["'=cmd()", "-1.5", ""], ['a,"b"', "", ""]]
    assert json.loads(document.read_text()) == [
        {"name": "=cmd()", "value": -1.5, "missing": None},
        {"name": 'a,"b"', "value": None, "missing": None},
    ]


def test_an_empty_table_keeps_its_heads(tmp_path):
    table, document = write_table(tmp_path, "t", [], ["a", "b"])
    assert table.read_text() == "a,b\n" and json.loads(document.read_text()) == []
