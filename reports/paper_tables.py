"""A paper's own table and ours for the same arms, to stand side by side; knows nothing of HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from reports.contrast import arm_names, records_by_arm
from reports.readable import DASH, MISSING, big, percent, ratio
from reports.records import Record, Run, primary_metrics, value_of
from reports.sections import Cell, Table
from search.paper_table import PaperTable
from search.values import from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideOurs:
    """One table of the paper as a text table, with its source and note."""

    source: str
    note: str
    table: Table


def paper_tables(run: Run) -> list[BesideOurs]:
    """The paper's tables that study.json holds, numbers as printed there."""
    listed = run.study.get("paper")
    found = [from_json(PaperTable, one, "study.json: paper") for one in (listed if isinstance(listed, list) else [])]
    return [BesideOurs(source=one.source, note=one.note, table=_printed(one)) for one in found]


def our_table(run: Run) -> Table:
    """The mean over seeds of every arm: accuracy and tasks, parameters, latency; deployed forms in rows of their own.

    Latency is the mean over measuring sessions where there are several.
    """
    metrics = primary_metrics(run.records)
    heads = ("arm", "accuracy, %", *metrics, "parameters", "latency ratio", "seeds")
    by_arm, rows = records_by_arm(run.records), []
    for arm in arm_names(run.study):
        records = [record for (name, _), record in by_arm.items() if name == arm and record["status"] == "complete"]
        rows.append(_row(arm, records, ("accuracy", *metrics), _latency(run, arm, records)))
        for runtime in _runtimes(records):
            names = [f"{runtime}/{metric}" for metric in ("accuracy", *metrics)]
            rows.append(_row(f"{arm}, {runtime}", records, names, None))
    return Table(heads=heads, numeric=(False, *[True] * (len(heads) - 1)), rows=tuple(rows))


def _printed(paper: PaperTable) -> Table:
    rows = tuple(
        (Cell(text=name), *(Cell(text=DASH if value is None else f"{value:g}") for value in values))
        for name, values in paper.rows
    )
    return Table(heads=("arm", *paper.columns), numeric=(False, *[True] * len(paper.columns)), rows=rows)


def _row(name: str, records: Sequence[Record], metrics: Sequence[str], latency: float | None) -> tuple[Cell, ...]:
    parameters = _values(records, "parameters")
    return (
        Cell(text=name),
        *(_mean(_values(records, metric)) for metric in metrics),
        Cell(text=big(parameters[0]) if parameters else MISSING),
        Cell(text=ratio(latency) if latency is not None else DASH),
        Cell(text=str(len(_values(records, metrics[0])))),
    )


def _mean(values: Sequence[float]) -> Cell:
    """The mean, and in small print the standard deviation over seeds."""
    if not values:
        return Cell(text=MISSING)
    return Cell(text=percent(fmean(values)), note=f"SD {stdev(values):.1f}" if len(values) > 1 else "")


def _values(records: Sequence[Record], metric: str) -> list[float]:
    return [value for record in records if (value := value_of(record, metric, "test")) is not None]


def _runtimes(records: Sequence[Record]) -> list[str]:
    """Deployed forms that some record was scored in."""
    names = (item["metric"] for record in records for item in record["measurements"] if _is_deployed_mean(item))
    return sorted({name.removesuffix("/accuracy") for name in names})


def _is_deployed_mean(item: dict[str, Any]) -> bool:
    return item["metric"].endswith("/accuracy") and "tasks" in item["conditions"] and "runtime" in item["conditions"]


def _latency(run: Run, arm: str, records: Sequence[Record]) -> float | None:
    encoders = {str(one.get("name")): one.get("encoder") for one in run.study.get("arms", ())}
    measured = [
        session.get(str(encoders.get(arm)), {}).get("latency_ratio") for session in run.sessions.blocks if session
    ]
    known = [value for value in measured if value is not None]
    if known:
        return fmean(known)
    values = _values(records, "latency_ratio")
    return values[0] if values else None
