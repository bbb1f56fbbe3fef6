"""Trials that cannot be a run's own: their files were copied from another study, or from it at another scale.

A search varies the student alone, so everything else must be its baseline's. The arms of an ablation may vary anything;
of one arm, trials on the baseline's data and trials on other data cannot both be the study's. Seeds never tell.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.cleaning import clean

Record = dict[str, Any]
_IGNORED = ("name", "seed")


def without_foreign(records: Sequence[Record], study: Record) -> tuple[list[Record], list[str]]:
    """The records that can be the study's, and one line for each of the others.

    Where study.json records no baseline, all are kept.
    """
    baseline = study.get("baseline")
    if not isinstance(baseline, dict):
        return list(records), []
    if study.get("kind") == "ablation":
        told = _of_ablation(records, baseline)
    else:
        rest = {field: value for field, value in baseline.items() if field != "student"}
        told = [conflict(record["spec"], rest) for record in records]
    kept = [record for record, field in zip(records, told, strict=True) if not field]
    problems = [
        f"trials/{record['fingerprint']}.json: is of another study, {clean(field)} is not that of this one's baseline; "
        "left out of everything here"
        for record, field in zip(records, told, strict=True)
        if field
    ]
    return kept, problems


def conflict(one: Any, other: Any, path: str = "") -> str:
    """The dotted name of the first field that both values have and in which they differ; empty where there is none.

    A field that only one of them has is another version's, at its default.

    >>> conflict({"data": {"length": 32}, "seed": 1}, {"data": {"length": 64, "corpus": "a"}, "seed": 0})
    'data.length'
    """
    if one == other:
        return ""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        shared = [name for name in one if name in other and name not in _IGNORED]
        found = (conflict(one[name], other[name], f"{path}.{name}" if path else str(name)) for name in shared)
        return next((field for field in found if field), "")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = (conflict(mine, theirs, path) for mine, theirs in zip(one, other, strict=True))
        return next((field for field in found if field), "")
    return path or "it"


def arms_on_other_data(records: Sequence[Record], study: Record) -> list[str]:
    """The arms all of whose trials are on other data than the baseline's, sorted."""
    baseline = study.get("baseline")
    data = {"data": baseline.get("data")} if isinstance(baseline, dict) else {}
    return sorted({arm for record in records if (arm := _arm(record)) and conflict(record["spec"], data)})


def _of_ablation(records: Sequence[Record], baseline: Record) -> list[str]:
    data = {"data": baseline["data"]} if "data" in baseline else {}
    told = [conflict(record["spec"], data) for record in records]
    agreeing = {_arm(record) for record, field in zip(records, told, strict=True) if not field}
    return [
        field if _arm(record) in agreeing or not _arm(record) else ""
        for record, field in zip(records, told, strict=True)
    ]


def _arm(record: Record) -> str:
    return next((str(trial["arm"]) for trial in record["trials"] if trial.get("arm")), "")
