"""Every cell of every table of a search's page, recomputed from the JSON files."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.page import write_report

pytestmark = pytest.mark.usefixtures("unrendered")


def test_every_cell_of_a_searchs_page(synthetic: Any, cells: Any, tmp_path: Path) -> None:
    value, ends = cells.value, cells.ends
    records = synthetic.make_search(14)
    for record in (made := [*records, *synthetic.make_confirmations(records)]):
        record["curves"] = record["curves"][:5]
    run = synthetic.write_run(tmp_path / "run", synthetic.make_study(), made)
    shown = cells.Page(write_report(run))
    study = json.loads((run / "study.json").read_text())
    groups: dict[str, list[Any]] = {}
    for one in cells.files(run):
        if one["status"] == "complete":
            groups.setdefault(cells.names_of(one), []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: one["role"] == "confirmation")
    seen = {
        name: (value(group[0], "validation/accuracy", "validation"), value(group[0], "latency_ratio"))
        for name, group in groups.items()
    }
    better: Any = lambda a, b: a != b and a[0] >= b[0] and a[1] <= b[1]  # noqa: E731
    front = {name for name, mine in seen.items() if not any(better(other, mine) for other in seen.values())}
    ordered = sorted(groups, key=lambda name: seen[name][1] or 0.0)
    base = "baseline (paper's ratios)"
    mean = {name: float(np.mean([value(one, "accuracy", "test") for one in group])) for name, group in groups.items()}  # type: ignore[misc]
    best = max(front, key=lambda name: mean[name])

    def front_row(name: str, number: int) -> list[Any]:
        first, accuracies = groups[name][0], [value(one, "accuracy", "test") for one in groups[name]]
        spread = [min(accuracies), max(accuracies)] if len(accuracies) > 1 else []  # type: ignore[type-var]
        return [float(number) if name in front else None, name, (mean[name], [*spread, float(len(accuracies))]),
                accuracies[0], *((value(first, m), ends(first, m)) for m in ("latency_ratio", "latency_ms")),
                value(first, "parameters"), value(first, "flops")]  # fmt: skip

    def check_front(table: Any) -> None:
        table.rows[:] = [[(text, note.replace("order could be noise", "")) for text, note in row] for row in table.rows]
        numbers = itertools.count(1)
        listed = [name for name in ordered if name in front or name == base]
        cells.check(table, [front_row(name, next(numbers) if name in front else 0) for name in listed])

    teacher, first, top = study["teacher"], groups[base][0], groups[best][0]
    columns = [first, teacher] if best == base else [first, top, teacher]
    tasks = [
        [(task, "accuracy"), study["majority"][task]["value"],
         *((value(one, f"{task}/accuracy", "test"), ends(one, f"{task}/accuracy", "test")) for one in columns)]
        for task in cells.TASKS
    ]  # fmt: skip
    majority = float(np.mean([study["majority"][task]["value"] for task in cells.TASKS]))
    tasks.append(["mean over tasks", majority, *(value(one, "accuracy", "test") for one in columns)])
    cells.check_all(
        shown,
        cells.common_tables(shown, run, cells.STUDENT)
        | {"Configurations that no other": check_front, "Scores on the test split": tasks},
    )
    cells.check_facts(shown, cells.files(run))
    area, reach = 0.0, majority
    shown_points = sorted((value(group[0], "latency_ratio"), mean[name]) for name, group in groups.items())  # type: ignore[type-var]
    for latency, accuracy in shown_points:
        if latency is not None and accuracy > reach and latency < 1.0:
            area, reach = area + (accuracy - reach) * (1.0 - latency), accuracy
    text = (run / "index.html").read_text(encoding="utf-8")
    said = re.search(
        r"hypervolume ([\d.]+) accuracy points x latency ratio, up to the reference point ([\d.]+) %", text
    )
    assert said is not None and cells.agrees(said[1], area) and cells.agrees(said[2], majority)
