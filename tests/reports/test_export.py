import csv
import json

import pandas as pd
import pytest

from reports.export import _json, disarm, write_table


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


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{}],
        [{"a": 1, "b": -0.5, "c": None, "d": True, "e": 'x, "y": \n \u00e9\u2028'}, {"a": 1e-300}],
        [{"a": []}, {"a": {}, "b": [1, [2, "a\nb"], {"c": []}]}, {}, {"a": 2}],
    ],
)
def test_the_document_is_what_the_standard_library_writes(rows):
    assert _json(rows) == json.dumps(rows, indent=1, ensure_ascii=False)


def test_a_number_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        _json([{"a": float("nan")}])
