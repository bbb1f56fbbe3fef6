"""All trials of a run as one pandas table, one row per trial; what was not measured is missing."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.points import accuracy_of, chosen_by, configuration_key, names
from reports.records import Record, find_measurement, first_number, interval_of, task_metrics, value_of


def varying_knobs(records: list[Record]) -> list[str]:
    """The fields of the student that differ between trials, in the order of the config."""
    students = [record["spec"]["student"] for record in records]
    fields = dict.fromkeys(field for student in students for field in student)
    return [field for field in fields if len({repr(student.get(field)) for student in students}) > 1]


def trial_table(records: list[Record], baseline: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """One row per trial, in the order of the records.

    Columns: what it is (number, fingerprint, name, status, reason, role, arm, seed), each knob that varies, parameters,
    flops, latency_ratio and latency_ms each with `_low` and `_high`, accuracy (test, in points) with its bounds,
    chosen_by (the accuracy that the search saw), one column per task score such as `agreement/accuracy`, and
    train_seconds.
    """
    named = names(records, baseline)
    knobs, tasks = varying_knobs(records), task_metrics(records)
    rows = [_row(record, named[configuration_key(record["spec"])], knobs, tasks) for record in records]
    return pd.DataFrame(rows, columns=_columns(knobs, tasks)).convert_dtypes()


def _columns(knobs: list[str], tasks: list[str]) -> list[str]:
    bounded = [
        f"{metric}{end}" for metric in ("latency_ratio", "latency_ms", "accuracy") for end in ("", "_low", "_high")
    ]
    what = ["number", "fingerprint", "name", "status", "reason", "role", "arm", "seed"]
    return [*what, *knobs, "parameters", "flops", *bounded, "chosen_by", *tasks, "train_seconds"]


def _row(record: Record, name: str, knobs: list[str], tasks: list[str]) -> dict[str, Any]:
    number = first_number(record)
    arms = [trial["arm"] for trial in record["trials"] if trial.get("arm")]
    row: dict[str, Any] = {
        "number": int(number) if number != float("inf") else None,
        "fingerprint": record["fingerprint"],
        "name": name,
        "status": record["status"],
        "reason": record["reason"],
        "role": record.get("role") or ("arm" if arms else "search"),
        "arm": str(arms[0]) if arms else None,
        "seed": record["spec"].get("seed"),
        "accuracy": accuracy_of(record),
        "chosen_by": chosen_by(record),
    }
    row |= {knob: record["spec"]["student"].get(knob) for knob in knobs}
    row |= {metric: value_of(record, metric) for metric in ("parameters", "flops", "train_seconds")}
    row |= {task: _tested(record, task) for task in tasks}
    for metric in ("latency_ratio", "latency_ms", "accuracy"):
        row.setdefault(metric, value_of(record, metric))
        split = "test" if metric == "accuracy" and find_measurement(record, metric, "test") else None
        row[f"{metric}_low"], row[f"{metric}_high"] = interval_of(record, metric, split) or (None, None)
    return row


def _tested(record: Record, metric: str) -> float | None:
    value = value_of(record, metric, "test")
    return value_of(record, metric) if value is None else value
