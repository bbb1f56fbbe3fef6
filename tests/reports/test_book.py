"""The book: all claims on the first page as the verdicts have them, shared trials counted once, nothing hostile in."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from reports.book import _chapters as chapters_of
from reports.book import glance, work_table, write_book
from reports.reading import read_run
from reports.verdict import verdicts
from search.claim import beats

EVIL = '=evil <script>alert(1)</script> & "quoted"'
ARMS = {
    "bare": [70.0, 71.0, 72.5, 70.5, 69.0, 71.5, 70.0, 71.0],
    "transfer": [74.0, 75.0, None, 76.0, 73.5, 75.0, 74.0, 75.5],
}


@pytest.fixture
def runs(synthetic: Any, claimed: Any, tmp_path: Path) -> Path:
    """Two runs that share all their trials, one without claims, and what lies beside runs."""
    root = tmp_path / "home of Ann" / "runs"
    records = claimed.make_records(synthetic, ARMS)
    for name, claims in (
        ("first", [claimed.make_claim("transfer-helps", beats("transfer", "bare"))]),
        (
            "second",
            [claimed.make_claim(EVIL, beats("bare", "transfer")), claimed.make_claim("b", beats("transfer", "bare"))],
        ),
        ("third", []),
    ):
        study = claimed.make_study(synthetic, claims, ARMS, 8) | {"study": name, "scale": "cpu"}
        if not claims:
            study.pop("claims")
        synthetic.write_run(root / f"{name}-cpu", study, records)
    (root / "data").mkdir()
    (root / "teachers").mkdir()
    (root / "notes").mkdir()
    return root


def test_the_first_page_says_of_every_claim_what_its_verdict_is(runs: Path, tmp_path: Path) -> None:
    page = write_book(sorted(runs.iterdir()), tmp_path / "book").read_text(encoding="utf-8")
    assert "Of 3 claims: 2 reproduced, 1 contradicted." in page
    for name in ("first-cpu", "second-cpu"):
        assert f'href="{name}/index.html"' in page and (tmp_path / "book" / name / "index.html").exists()
        for verdict, row in zip(
            verdicts(read_run(runs / name)), glance(verdicts(read_run(runs / name))).rows, strict=True
        ):
            assert row[1].text.split()[1] == verdict.outcome and row[-1].text == "7" and "1 lost" in row[-1].note
            assert verdict.shown.mean is not None and float(row[2].text) == pytest.approx(verdict.shown.mean, abs=0.006)
    assert "It declares no claims" in page and "Left out: notes: no run folder, it has no study.json." in page
    assert "data:" not in page and "teachers:" not in page
    assert 'href="../index.html"' in (tmp_path / "book" / "first-cpu" / "index.html").read_text(encoding="utf-8")


def test_shared_trials_are_counted_once(runs: Path) -> None:
    found, _ = chapters_of(sorted(runs.iterdir()))
    rows = [[cell.text for cell in row] for row in work_table(found).rows]
    assert [row[:3] for row in rows] == [
        ["first, scale cpu", "16", "16"],
        ["second, scale cpu", "16", "0"],
        ["third, scale cpu", "16", "0"],
        ["in all", "48", "16"],
    ]


def test_nothing_hostile_and_no_place_on_a_disk_is_in_the_book(runs: Path, tmp_path: Path) -> None:
    book = tmp_path / "book"
    write_book(sorted(runs.iterdir()), book)
    for path in (book / "index.html", book / "methods.html", book / "results.md", book / "second-cpu" / "index.html"):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text and "http" not in text and "home of Ann" not in text and str(tmp_path) not in text
    with open(book / "claims.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["study"] for row in rows] == ["first, scale cpu", "second, scale cpu", "second, scale cpu"]
    assert rows[1]["claim"].startswith("'=evil")
    assert [row["verdict"] for row in json.loads((book / "claims.json").read_text())] == [
        row["verdict"] for row in rows
    ]


def test_the_results_in_markdown_have_a_row_for_every_claim(runs: Path, tmp_path: Path) -> None:
    text = (write_book(sorted(runs.iterdir()), tmp_path / "book").parent / "results.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and "---" not in line and "the paper says" not in line
    ]
    found = [one for name in ("first-cpu", "second-cpu") for one in verdicts(read_run(runs / name))]
    assert len(rows) == len(found) == 3
    for row, verdict in zip(rows, found, strict=True):
        assert f"**{verdict.outcome}**" in row and f"{verdict.shown.mean:+.2f} points" in row and "1 pair lost" in row


def test_runs_of_one_name_do_not_overwrite_each_other(runs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "first-cpu"
    shutil.copytree(runs / "first-cpu", other)
    write_book([runs / "first-cpu", other], tmp_path / "book")
    assert {path.parent.name for path in (tmp_path / "book").glob("*/index.html")} == {"first-cpu", "first-cpu-again"}


def test_no_run_at_all_is_one_line(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a book needs at least one run folder that can .*, got notes: .*; data:"):
        write_book([runs / "data", runs / "notes"], tmp_path / "book")
    assert not (tmp_path / "book").exists()
