"""Every cell of every table of the book's first page, recomputed from the JSON files."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports import page
from reports.book import write_book

pytestmark = pytest.mark.usefixtures("unrendered")


def recomputed() -> Any:
    """The plain recomputation of the verdicts."""
    place = importlib.util.spec_from_file_location("plain_verdicts", Path(__file__).with_name("test_recomputed.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_every_cell_of_the_books_first_page(
    synthetic: Any, claimed: Any, cells: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = recomputed()
    run = plain.make_run(synthetic, claimed, tmp_path / "one-cpu", 9)
    shared = synthetic.write_run(
        tmp_path / "two-cpu", {**synthetic.make_ablation_study(), "study": "two"}, cells.files(run)[:5]
    )
    monkeypatch.setattr(page, "shown", lambda *arguments: {})
    index = write_book([run, shared], tmp_path / "book")
    judged = plain.judge(run, 9, 0.05)
    listed = json.loads((index.parent / "claims.json").read_text())
    markdown = [
        line for line in (index.parent / "results.md").read_text().splitlines() if "points" in line or "x ref" in line
    ]
    order = sorted(judged, key=lambda row: row["p"])
    claims, running = [], 0.0
    holm = {}
    for place, row in enumerate(order):
        running = max(running, (len(order) - place) * row["p"])
        holm[row["claim"]["name"]] = min(1.0, running)
    for row, kept, line in zip(judged, listed, markdown, strict=True):
        shown = row["parts"][plain.shown_part(row)]
        bounds = plain.interval(shown, row["level"])
        n = float(min(map(len, row["parts"])))
        assert kept["verdict"] == row["verdict"] and f"**{row['verdict']}**" in line
        assert kept["effect"] == pytest.approx(np.mean(shown)) and kept["n"] == n
        assert kept["p_holm"] == pytest.approx(holm[row["claim"]["name"]])
        written = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert cells.agrees(written[2].split()[0], float(np.mean(shown))) and int(written[5].split()[0]) == n
        ends_shown = [float(one) for one in cells.NUMBER.findall(written[3])]
        digits = 3 if row["claim"]["blocks"] == "sessions" else 2
        assert ends_shown == pytest.approx(list(bounds) if bounds else [], abs=0.51 * 10**-digits)
        assert float(written[4]) == row["claim"]["margin"]
        claims.append((row, shown, bounds, n))

    def check_claims(table: Any) -> None:
        for row_cells, (row, shown, bounds, n) in zip(table.rows[1:], claims, strict=True):
            text = [cell.strip() for cell, _ in row_cells]
            assert text[0] == row["claim"]["says"] and text[1].split()[1] == row["verdict"]
            assert cells.agrees(text[2], float(np.mean(shown))) and cells.agrees(text[4], row["claim"]["margin"])
            found = cells.NUMBER.findall(text[3])
            assert len(found) == len(bounds or ()) and all(map(cells.agrees, found, bounds or ()))
            assert cells.agrees(row_cells[3][1].removesuffix(" %"), float(f"{100 * (1 - row['level']):.4g}"))
            assert cells.agrees(text[5], holm[row["claim"]["name"]]) and cells.agrees(text[6], n)

    def check_work(table: Any) -> None:
        mine, few = cells.files(run), cells.files(shared)
        for row_cells, (count, new, records) in zip(
            table.rows[1:],
            [(len(mine), len(mine), mine), (len(few), 0, []), (len(mine) + len(few), len(mine), mine)],
            strict=True,
        ):
            assert [int(row_cells[1][0]), int(row_cells[2][0])] == [count, new]
            seconds = round(sum(cells.value(one, "train_seconds") or 0.0 for one in records))
            whole = f"{seconds // 3600} h {seconds % 3600 // 60} min" if seconds >= 3600 else f"{seconds // 60} min"
            assert row_cells[3][0].startswith(whole) if records else row_cells[3][0] == "-"
            assert row_cells[4][0] == "-", "these specifications are no real ones: nothing is predicted for them"

    scaling = json.loads((run / "study.json").read_text())["scaling"]
    sizes = [
        [f"{one[k]:,}" if isinstance(one[k], int) else one[k] for k in ("what", "paper", "here")] for one in scaling
    ]
    cells.check_all(
        cells.Page(index),
        {"The claims of": check_claims, "Trials that several studies share": check_work, "The paper's sizes": sizes},
    )
