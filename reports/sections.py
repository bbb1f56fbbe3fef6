"""The tables of the page as texts, ready to be shown: one function per table; knows nothing of HTML."""

from dataclasses import dataclass
from itertools import count as count_from
from typing import Any

from reports.findings import accuracy_of_teacher
from reports.naming import field_label
from reports.points import Configurations, Point, accuracy_of
from reports.readable import DASH, MISSING, big, count, decimals, milliseconds, percent, ratio, spread
from reports.records import (
    Record,
    Run,
    find_measurement,
    first_number,
    interval_of,
    majority_mean,
    majority_of,
    task_metrics,
    teacher_of,
    value_of,
)  # fmt: skip
from reports.table import varying_knobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A value and, in small print, its interval or note."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts; `numeric` says which columns are set flush right."""

    heads: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: tuple[bool, ...] = ()
    """Rows that stand out (the baseline)."""


def arm_table(points: list[Point]) -> Table:
    """The arms of an ablation: as `point_table`, without what only a search has."""
    whole = point_table(points)
    kept = [place for place, head in enumerate(whole.heads) if head not in ("#", "search seed")]
    return Table(
        heads=("arm", *(whole.heads[place] for place in kept[1:])),
        numeric=tuple(whole.numeric[place] for place in kept),
        rows=tuple((Cell(text=row[kept[0]].text), *(row[place] for place in kept[1:])) for row in whole.rows),
        marked=whole.marked,
    )


def point_table(points: list[Point]) -> Table:
    """The points given, fastest first, those of the front numbered; the search seed's value beside the mean."""
    heads = ("#", "configuration", "accuracy, %", "search seed", "latency ratio", "latency, ms", "parameters", "FLOPs")
    rows: list[tuple[Cell, ...]] = []
    numbers = count_from(1)
    for point in points:
        seeds = f"{point.num_seeds} seeds" if point.num_seeds > 1 else "1 seed"
        note = ", ".join(part for part in (spread(point.accuracy_interval, 1), seeds) if part)
        rows.append(
            (
                Cell(text=str(next(numbers)) if point.on_front else DASH),
                Cell(text=point.name, note="order could be noise" if point.in_doubt else ""),
                Cell(text=percent(point.accuracy), note=note),
                Cell(text=percent(point.search_accuracy)),
                Cell(text=ratio(point.latency_ratio), note=spread(point.latency_ratio_interval, 2)),
                Cell(
                    text=milliseconds(point.latency_ms),
                    note=spread(point.latency_ms_interval, decimals(point.latency_ms)),
                ),
                Cell(text=big(point.parameters)),
                Cell(text=big(point.flops)),
            )
        )
    numeric = (True, False, *[True] * 6)
    return Table(heads=heads, numeric=numeric, rows=tuple(rows), marked=tuple(point.is_baseline for point in points))


def task_table(run: Run, points: list[Point]) -> Table:
    """Scores per task: majority class, baseline, the most accurate front point, teacher; test split, first seed."""
    majority, teacher = majority_of(run.study), teacher_of(run.study)
    best = max((point for point in points if point.on_front), key=lambda point: point.accuracy, default=None)
    base = next((point for point in points if point.is_baseline), None)
    shown = [("baseline", _record_of(run, base)), ("most accurate", _record_of(run, best)), ("teacher", teacher)]
    if base is not None and base == best:
        shown = [("baseline, most accurate", shown[0][1]), shown[2]]
    columns = [(head, record) for head, record in shown if record and record["measurements"]]
    rows = []
    for metric in task_metrics([*run.records, teacher]):
        task, _, measure = metric.rpartition("/")
        known = measure == _majority_metric(run, task)
        cells = [Cell(text=percent(majority.get(task)) if known else DASH)]
        cells += [_score(record, metric) for _, record in columns]
        rows.append((Cell(text=task, note=measure.replace("_", " ")), *cells))
    if rows:
        means = [Cell(text=percent(accuracy_of_teacher(record))) for _, record in columns]
        rows.append((Cell(text="mean over tasks"), Cell(text=percent(majority_mean(run))), *means))
    heads = ("task", "majority class", *(head for head, _ in columns))
    return Table(heads=heads, numeric=(False, *[True] * (len(heads) - 1)), rows=tuple(rows))


TASK_COLUMNS = ("configuration", "fingerprint", "task", "metric", "value", "low", "high", "majority")


def task_scores(run: Run, points: list[Point]) -> list[dict[str, Any]]:
    """One row per score of the points given or of the teacher, first seeds: the task table as numbers."""
    majority = majority_of(run.study)
    shown = [(point.name, _record_of(run, point)) for point in points]
    rows = []
    for name, record in [*shown, ("teacher", teacher_of(run.study))]:
        for metric in task_metrics([record] if record else []):
            assert record is not None
            task, _, measure = metric.rpartition("/")
            split = "test" if find_measurement(record, metric, "test") else None
            low, high = interval_of(record, metric, split) or (None, None)
            known = majority.get(task) if measure == _majority_metric(run, task) else None
            values = (name, record["fingerprint"], task, measure, value_of(record, metric, split), low, high, known)
            rows.append(dict(zip(TASK_COLUMNS, values, strict=True)))
    return rows


def trial_listing(run: Run, known: Configurations) -> Table:
    """Every trial, in the order of the records.

    Args:
        known: the run's.
    """
    records = list(run.records)
    knobs, tasks = varying_knobs(records), task_metrics(records)
    fixed = ("trial", "configuration", "status", "role", "seed")
    heads = (*fixed, *map(field_label, knobs), "accuracy, %", "latency ratio", "latency, ms", "parameters", "FLOPs")
    heads = (*heads, *(task.replace("/", " ") for task in tasks), "training, s", "fingerprint")
    rows = []
    for key, record in zip(known.keys, records, strict=True):
        number, seed = first_number(record), record["spec"].get("seed")
        student = record["spec"]["student"]
        rows.append(
            (
                Cell(text=DASH if number == float("inf") else f"{number:.0f}"),
                Cell(text=known.names[key]),
                Cell(text=record["status"]),
                Cell(text=str(record.get("role") or "search")),
                Cell(text=DASH if seed is None else str(seed)),
                *(Cell(text=str(student.get(knob, DASH))) for knob in knobs),
                Cell(text=percent(accuracy_of(record))),
                Cell(text=ratio(value_of(record, "latency_ratio"))),
                Cell(text=milliseconds(value_of(record, "latency_ms"))),
                Cell(text=big(value_of(record, "parameters"))),
                Cell(text=big(value_of(record, "flops"))),
                *(Cell(text=percent(_tested(record, task))) for task in tasks),
                Cell(text=count(value_of(record, "train_seconds"))),
                Cell(text=record["fingerprint"]),
            )
        )
    words = {"configuration", "status", "role", "fingerprint"}
    return Table(heads=heads, numeric=tuple(head not in words for head in heads), rows=tuple(rows))


def reason_table(run: Run) -> Table:
    """The arms of an ablation with the reason to try each."""
    listed = run.study.get("arms")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    rows = [(Cell(text=str(entry.get("name"))), Cell(text=str(entry.get("because") or MISSING))) for entry in entries]
    return Table(heads=("arm", "why"), numeric=(False, False), rows=tuple(rows))


def failure_table(run: Run, known: Configurations) -> Table:
    """Trials that diverged or failed, with the reason recorded."""
    rows = [
        (
            Cell(text=known.names[key]),
            Cell(text=record["status"]),
            Cell(text=record["reason"] or MISSING),
            Cell(text=record["fingerprint"]),
        )
        for key, record in zip(known.keys, run.records, strict=True)
        if record["status"] != "complete"
    ]
    return Table(heads=("configuration", "status", "reason", "fingerprint"), numeric=(False,) * 4, rows=tuple(rows))


def _record_of(run: Run, point: Point | None) -> Record | None:
    return next((r for r in run.records if point and r["fingerprint"] == point.fingerprints[0]), None)


def _majority_metric(run: Run, task: str) -> str:
    listed = run.study.get("majority")
    entry = listed.get(task) if isinstance(listed, dict) else None
    return str(entry.get("metric", "")) if isinstance(entry, dict) else ""


def _tested(record: Record, metric: str) -> float | None:
    value = value_of(record, metric, "test")
    return value_of(record, metric) if value is None else value


def _score(record: Record, metric: str) -> Cell:
    split = "test" if find_measurement(record, metric, "test") else None
    return Cell(text=percent(value_of(record, metric, split)), note=spread(interval_of(record, metric, split), 1))
