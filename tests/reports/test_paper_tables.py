"""The paper's table beside ours: numbers as printed there, and means of the files here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.page import write_report
from reports.paper_tables import our_table, paper_tables
from reports.reading import read_run
from search.claim import beats
from search.paper_table import PaperTable
from search.values import to_json

PAPER = PaperTable(
    source="Sun et al. 2020, Table 9",
    columns=("MNLI-m", "latency (ms)"),
    rows=(("bare", (80.8, None)), ("transfer", (84.4, 62.0))),
    note="One run each.",
)
ARMS = {"bare": [70.0, 71.0, 72.5, None], "transfer": [74.0, 75.0, 73.0, 76.0]}


@pytest.fixture
def run(synthetic: Any, claimed: Any, tmp_path: Path) -> Path:
    claims = [claimed.make_claim("faster", beats("bare", "transfer", "latency_ratio"), blocks="sessions")]
    study = claimed.make_study(synthetic, claims, ARMS, 4, latency_sessions=6, paper=to_json([PAPER]))
    records = claimed.make_records(synthetic, ARMS)
    for place, record in enumerate(records):
        if record["status"] == "complete":
            scores = [one for one in record["measurements"] if one["conditions"].get("split", "test") == "test"]
            accuracy = next(one for one in scores if one["metric"] == "accuracy")
            int8 = {"value": accuracy["value"] - 0.1 * place, "conditions": {"split": "test", "tasks": 2}}
            int8["conditions"]["runtime"] = "onnx-int8"
            record["measurements"].append({**accuracy, **int8, "metric": "onnx-int8/accuracy"})
    folder: Path = synthetic.write_run(tmp_path / "run", study, records)
    claimed.write_sessions(folder, {"bare": [1.0] * 6, "transfer": [0.8, 0.8, 0.8, 0.9, 0.9, None]})
    return folder


def test_the_papers_numbers_are_as_printed_there(run: Path) -> None:
    (paper,) = paper_tables(read_run(run))
    assert (paper.source, paper.note) == (PAPER.source, PAPER.note)
    assert paper.table.heads == ("arm", "MNLI-m", "latency (ms)")
    assert [[cell.text for cell in row] for row in paper.table.rows] == [
        ["bare", "80.8", "-"],
        ["transfer", "84.4", "62"],
    ]


def test_ours_are_the_means_of_the_trial_files_without_those_that_diverged(run: Path) -> None:
    table = our_table(read_run(run))
    files = [json.loads(path.read_text()) for path in (run / "trials").glob("*.json")]
    for row in table.rows:
        cells = dict(zip(table.heads, row, strict=True))
        arm, _, runtime = cells["arm"].text.partition(", ")
        metric = f"{runtime}/accuracy" if runtime else "accuracy"
        values = [
            one["value"]
            for file in files
            if file["trials"][0]["arm"] == arm and file["status"] == "complete"
            for one in file["measurements"]
            if one["metric"] == metric and one["conditions"].get("split", "test") == "test"
        ]
        assert float(cells["accuracy, %"].text) == pytest.approx(np.mean(values), abs=0.051)
        assert cells["accuracy, %"].note == f"SD {np.std(values, ddof=1):.1f}"
        assert int(cells["seeds"].text) == len(values) == (3 if arm == "bare" else 4)
    assert [row[0].text for row in table.rows] == ["bare", "bare, onnx-int8", "transfer", "transfer, onnx-int8"]
    latency = [float(row[table.heads.index("latency ratio")].text.replace("-", "nan")) for row in table.rows]
    assert latency[0] == pytest.approx(1.0, abs=0.006) and latency[2] == pytest.approx(0.84, abs=0.006)
    assert np.isnan([latency[1], latency[3]]).all()


def test_the_page_shows_both_and_what_is_deployed_is_no_task(run: Path) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    section = text[text.index('<section id="paper">') : text.index('<section id="claims">')]
    for phrase in ("Sun et al. 2020, Table 9. One run each.", "84.4", "transfer, onnx-int8", "the numbers cannot"):
        assert phrase in section
    assert "onnx-int8" not in text[text.index('<section id="claims">') :].split("provenance")[0]
