"""Trials with equal configuration gathered into points: mean over seeds, spread, and which of them form the front.

Confirmation trials repeat a configuration of the search with a fresh seed; together they are one point. The front is
chosen by what the search itself saw (the validation split, where recorded); the numbers shown are the test split's.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from reports.form import cap_of
from reports.naming import BASELINE_NAME, IDENTITY_FIELDS, point_name, unique_names
from reports.pareto import Interval, front, steps_in_doubt
from reports.records import LATENCY_METRICS, Record, Run, baseline_of, find_measurement, interval_of, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One configuration with a measured accuracy and latency."""

    key: str
    name: str
    fingerprints: tuple[str, ...]
    """Its complete trials, the first one first; that one is the search's own seed."""
    num_seeds: int
    accuracy: float
    """Mean over the seeds."""
    accuracy_interval: Interval
    """Lowest and highest seed where there are several; else the interval recorded with the one value."""
    search_accuracy: float
    """Of the first seed alone, the one by which the search chose."""
    latency_ratio: float
    latency_ratio_interval: Interval
    latency_ms: float | None
    latency_ms_interval: Interval
    parameters: float | None
    flops: float | None
    is_baseline: bool
    on_front: bool
    in_doubt: bool
    """On the front, but an interval overlaps that of a neighbour."""


def configuration_key(spec: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that two specs share when they differ in nothing but name and seeds."""
    kept = {field: _without_seeds(value) if field == "teacher" else value for field, value in spec.items()}
    kept = {field: value for field, value in kept.items() if field not in IDENTITY_FIELDS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configurations:
    """Records by configuration; found once for a page, as a key is made of a whole specification."""

    keys: tuple[str, ...]
    """Of the records, in their order."""
    groups: Mapping[str, list[Record]]
    """By key the records of each configuration: those of the search before those that confirm it."""
    names: Mapping[str, str]
    """By key: the arm of an ablation, else what differs from the baseline."""


def configurations(records: Sequence[Record], baseline: Mapping[str, Any] | None) -> Configurations:
    """The configurations of some records, named."""
    keys = tuple(configuration_key(record["spec"]) for record in records)
    groups: dict[str, list[Record]] = {}
    for key, record in sorted(zip(keys, records, strict=True), key=lambda both: _confirms(both[1])):
        groups.setdefault(key, []).append(record)
    return Configurations(keys=keys, groups=groups, names=_names(groups, baseline))


def configurations_of(run: Run) -> Configurations:
    """The configurations of a run."""
    return configurations(run.records, baseline_of(run.study))


def _confirms(record: Record) -> tuple[bool, str]:
    confirms = record.get("role") == "confirmation"
    return confirms, record["fingerprint"] if confirms else ""


def _names(groups: Mapping[str, list[Record]], baseline: Mapping[str, Any] | None) -> dict[str, str]:
    specs = [group[0]["spec"] for group in groups.values()]
    found = dict(zip(groups, unique_names(specs, list(groups), baseline), strict=True))
    arms = {key: arm for key, group in groups.items() if (arm := arm_of(group[0]))}
    shared = Counter(arms.values())
    return found | {key: arm if shared[arm] == 1 else f"{arm} [{key[:6]}]" for key, arm in arms.items()}


def arm_of(record: Record) -> str:
    """The arm of an ablation that a trial belongs to; empty for a search."""
    return next((str(trial["arm"]) for trial in record["trials"] if trial.get("arm")), "")


def accuracy_of(record: Record) -> float | None:
    """The accuracy that is shown: the test split's, or the only one recorded."""
    tested = value_of(record, "accuracy", "test")
    return value_of(record, "accuracy") if tested is None else tested


def validation_accuracy(record: Record) -> float | None:
    """The accuracy on the validation split, None where it was not recorded."""
    named = value_of(record, "validation/accuracy")
    if named is not None:
        return named
    found = find_measurement(record, "accuracy", "validation")
    return float(found["value"]) if found and found["conditions"].get("split") else None


def chosen_by(record: Record) -> float | None:
    """The accuracy that the search saw: the validation split's where recorded, else the one shown."""
    seen = validation_accuracy(record)
    return accuracy_of(record) if seen is None else seen


def points_of(run: Run, known: Configurations | None = None) -> list[Point]:
    """The points of a run, its front under the cap where it has one; `known` as for `points`."""
    return points(list(run.records), baseline_of(run.study), cap_of(run.study), known)


def points(
    records: list[Record],
    baseline: Mapping[str, Any] | None,
    max_latency_ms: float | None = None,
    known: Configurations | None = None,
) -> list[Point]:
    """The complete configurations with accuracy and latency, fastest first.

    Args:
        known: the configurations of these records, where somebody has found them already.
        max_latency_ms: what is on the front takes at most so long, as far as the search saw; where nothing does, the
            front is that of all.
    """
    known = configurations(records, baseline) if known is None else known
    usable = {
        key: measured
        for key, group in known.groups.items()
        if (measured := [record for record in group if _is_measured(record)])
    }
    seen = [(chosen_by(group[0]), value_of(group[0], "latency_ratio")) for group in usable.values()]
    rows = np.array(seen, dtype=float)
    over = np.array([not _is_under(group[0], max_latency_ms) for group in usable.values()], dtype=bool)
    if not over.all():
        rows[over] = np.nan  # on no front, and in nobody's way
    chosen = front(rows)
    made = [
        _point(key, known.names[key], group, bool(on_front), _is_baseline(group[0], baseline))
        for (key, group), on_front in zip(usable.items(), chosen, strict=True)
    ]
    return _with_doubt(sorted(made, key=lambda point: (point.latency_ratio, -point.accuracy, point.key)))


def _point(key: str, name: str, group: list[Record], on_front: bool, is_baseline: bool) -> Point:
    accuracies = [value for record in group if (value := accuracy_of(record)) is not None]
    first = group[0]
    split = "test" if find_measurement(first, "accuracy", "test") else None
    single = interval_of(first, "accuracy", split)
    ratio, milliseconds = (value_of(first, metric) for metric in reversed(LATENCY_METRICS))
    assert ratio is not None
    return Point(
        key=key,
        name=name,
        fingerprints=tuple(record["fingerprint"] for record in group),
        num_seeds=len(accuracies),
        accuracy=fmean(accuracies),
        accuracy_interval=(min(accuracies), max(accuracies)) if len(accuracies) > 1 else single,
        search_accuracy=accuracies[0],
        latency_ratio=ratio,
        latency_ratio_interval=interval_of(first, "latency_ratio"),
        latency_ms=milliseconds,
        latency_ms_interval=interval_of(first, "latency_ms"),
        parameters=value_of(first, "parameters"),
        flops=value_of(first, "flops"),
        is_baseline=is_baseline,
        on_front=on_front,
        in_doubt=False,
    )


def _with_doubt(ordered: list[Point]) -> list[Point]:
    members = [point for point in ordered if point.on_front]
    doubts = steps_in_doubt(
        [(point.accuracy, point.latency_ratio) for point in members],
        [point.accuracy_interval for point in members],
        [point.latency_ratio_interval for point in members],
    )
    doubtful = {point.key for point, doubt in zip(members, doubts, strict=True) if doubt}
    return [replace(point, in_doubt=point.key in doubtful) for point in ordered]


def _is_measured(record: Record) -> bool:
    return (
        record["status"] == "complete"
        and accuracy_of(record) is not None
        and value_of(record, "latency_ratio") is not None
    )


def _is_under(record: Record, max_latency_ms: float | None) -> bool:
    latency_ms = value_of(record, "latency_ms")
    return max_latency_ms is None or (latency_ms is not None and latency_ms <= max_latency_ms)


def _is_baseline(record: Record, baseline: Mapping[str, Any] | None) -> bool:
    return bool(baseline) and point_name(record["spec"], baseline) == BASELINE_NAME


def _without_seeds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_seeds(item) for key, item in value.items() if key != "seed"}
    return value
