"""A run and its trials as plain dictionaries, and what is asked of them: measurements, tasks, baseline, teacher.

Knows nothing of files (`reports/reading.py`), pandas, figures or pages.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reports.cleaning import clean
from reports.sessions import Sessions

Record = dict[str, Any]
"""One trial file (schema 1 in ARCHITECTURE.md)."""

LATENCY_METRICS = ("latency_ms", "latency_ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run folder holds."""

    name: str
    study: Record = field(repr=False)
    """study.json; empty where there is none."""
    records: tuple[Record, ...] = field(repr=False)
    """Trials in the order of their first Optuna number, then fingerprint."""
    problems: tuple[str, ...]
    """One line per file that could not be used."""
    sessions: Sessions = field(default=Sessions(), repr=False)
    """Of latency; read only where claims are about them, or where they were asked for."""

    @property
    def needs_sessions(self) -> bool:
        """Whether some claim of the study is about measuring sessions."""
        listed = self.study.get("claims")
        claims = listed if isinstance(listed, list) else []
        return any(isinstance(claim, dict) and claim.get("blocks") == "sessions" for claim in claims)

    def _repr_html_(self) -> str:
        """In a notebook: question, trials, arms and problems."""
        from reports.notebook import run_html

        return run_html(self)


def is_ablation(run: Run) -> bool:
    """Whether the run compares arms instead of searching."""
    return run.study.get("kind") == "ablation"


def find_measurement(record: Record, metric: str, split: str | None = None) -> Record | None:
    """The first measurement of a metric, or None where it was not made.

    With `split`, only one whose conditions name that split, or name none.
    """
    for item in record.get("measurements", ()):
        if item["metric"] == metric and (split is None or item["conditions"].get("split", split) == split):
            found: Record = item
            return found
    return None


def value_of(record: Record, metric: str, split: str | None = None) -> float | None:
    """The number of `find_measurement`."""
    found = find_measurement(record, metric, split)
    return None if found is None else float(found["value"])


def interval_of(record: Record, metric: str, split: str | None = None) -> tuple[float, float] | None:
    """(low, high) of `find_measurement`; None where no interval was recorded."""
    found = find_measurement(record, metric, split)
    interval = found.get("interval") if found else None
    return (float(interval["low"]), float(interval["high"])) if interval else None


def curve_points(record: Record) -> list[Record]:
    """The points of a trial's learning curves that are points, cleaned.

    Here and not for every trial that is read: they are most of a file, and few trials are drawn.
    """
    return [
        {
            "stage": clean(point["stage"]),
            "step": point["step"],
            "metric": clean(point["metric"]),
            "value": point["value"],
        }
        for point in record["curves"]
        if _is_curve_point(point)
    ]


def task_metrics(records: Iterable[Record]) -> list[str]:
    """Names such as `agreement/accuracy` of single tasks' test scores, sorted, a task's primary metric first."""
    found: dict[str, bool] = {}
    for record in records:
        for item in record["measurements"]:
            if is_task_score(item):
                found.setdefault(item["metric"], bool(item["conditions"].get("primary", True)))
    return sorted(found, key=lambda metric: (metric.rpartition("/")[0], not found[metric], metric))


def primary_metrics(records: Iterable[Record]) -> list[str]:
    """The test scores, such as `agreement/accuracy`, that make up the accuracy; sorted."""
    return sorted(
        {
            item["metric"]
            for record in records
            for item in record["measurements"]
            if is_task_score(item) and item["conditions"].get("primary", True)
        }
    )


def is_task_score(item: Record) -> bool:
    """Whether it is a task's score on test as training gives it; what a deployed form scores names its runtime."""
    metric = item["metric"]
    return "/" in metric and not metric.startswith("validation/") and "runtime" not in item["conditions"]


def primary_tasks(records: Iterable[Record]) -> list[str]:
    """The tasks whose primary metrics make up the accuracy."""
    return sorted({metric.rpartition("/")[0] for metric in primary_metrics(records)})


def majority_mean(run: Run) -> float | None:
    """What always answering the most frequent class scores on average over the tasks that make up the accuracy.

    Tasks without classes (regression, spans) count as 0, which is what one constant answer scores there. None where no
    trial was scored or no majority class was recorded.
    """
    majority, tasks = majority_of(run.study), primary_tasks(run.records)
    known = [task for task in tasks if task in majority]
    return sum(majority[task] for task in known) / len(tasks) if known else None


def first_number(record: Record) -> float:
    """The lowest Optuna trial number of a record; infinity where it has none."""
    numbers = [trial["number"] for trial in record["trials"] if isinstance(trial.get("number"), int)]
    return min(numbers, default=math.inf)


def teacher_of(study: Record) -> Record:
    """The teacher of a study in the form of a record, with what was measured."""
    teacher = study.get("teacher")
    teacher = teacher if isinstance(teacher, dict) else {}
    listed = teacher.get("measurements")
    measured = [item for item in listed if is_measurement(item)] if isinstance(listed, list) else []
    measured = [{**item, "conditions": item.get("conditions") or {}} for item in measured]
    return {"fingerprint": str(teacher.get("fingerprint") or ""), "measurements": measured}


def reference_of(run: Run) -> str:
    """The name of the model that latency ratios refer to."""
    named = (find_measurement(record, "latency_ratio") for record in run.records)
    known = (item["conditions"].get("reference") for item in named if item)
    return str(next((name for name in known if name), "the reference model"))


def majority_of(study: Record) -> dict[str, float]:
    """Score of always answering the most frequent class, by task; tasks without one are absent."""
    listed = study.get("majority")
    entries = listed.items() if isinstance(listed, dict) else ()
    return {
        str(task): float(entry["value"])
        for task, entry in entries
        if isinstance(entry, dict) and is_number(entry.get("value"))
    }


def baseline_of(study: Record) -> Record | None:
    """The spec of the baseline, None where it was not recorded."""
    baseline = study.get("baseline")
    return baseline if isinstance(baseline, dict) and isinstance(baseline.get("student"), dict) else None


def is_number(value: Any) -> bool:
    """Whether a value read from JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_measurement(item: Any) -> bool:
    """Whether a value read from JSON is a measurement; one without an interval has none or null."""
    if not isinstance(item, dict) or not isinstance(item.get("metric"), str) or not is_number(item.get("value")):
        return False
    interval = item.get("interval")
    if interval is not None and not (
        isinstance(interval, dict) and is_number(interval.get("low")) and is_number(interval.get("high"))
    ):
        return False
    return isinstance(item.get("conditions") or {}, dict)


def _is_curve_point(point: Any) -> bool:
    return (
        isinstance(point, dict)
        and isinstance(point.get("stage"), str)
        and isinstance(point.get("metric"), str)
        and is_number(point.get("step"))
        and is_number(point.get("value"))
    )
