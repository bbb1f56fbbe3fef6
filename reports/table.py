"""The trials of a run as pandas tables, one row per trial or one per number; what was not measured is missing."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from reports.importance import run_importance
from reports.naming import BASELINE_NAME, point_name
from reports.points import Configurations, accuracy_of, chosen_by, configurations
from reports.records import (
    Record,
    baseline_of,
    find_measurement,
    first_number,
    interval_of,
    is_task_score,
    task_metrics,
    value_of,
)
from reports.source import CURVE_COLUMNS, NOTHING, TRIAL_COLUMNS, RunSource, given_run


def varying_knobs(records: list[Record]) -> list[str]:
    """The fields of the student that differ between trials, in the order of the config."""
    students = [record["spec"]["student"] for record in records]
    fields = dict.fromkeys(field for student in students for field in student)
    return [field for field in fields if len({repr(student.get(field)) for student in students}) > 1]


def trial_table(
    records: list[Record], baseline: Mapping[str, Any] | None = None, known: Configurations | None = None
) -> pd.DataFrame:
    """One row per trial, in the order of the records.

    Columns: what it is (number, fingerprint, name, status, reason, role, arm, seed), each knob that varies, parameters,
    flops, latency_ratio and latency_ms each with `_low` and `_high`, accuracy (test, in points) with its bounds,
    chosen_by (the accuracy that the search saw), one column per task score such as `agreement/accuracy`, and
    train_seconds.

    Args:
        known: the configurations of these records, where somebody has found them already.
    """
    known = configurations(records, baseline) if known is None else known
    knobs, tasks = varying_knobs(records), task_metrics(records)
    rows = [_row(record, known.names[key], knobs, tasks) for key, record in zip(known.keys, records, strict=True)]
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


def trials(run: RunSource) -> pd.DataFrame:
    """Every measurement of every trial, one row each: the tidy form that `groupby`, `pivot_table` and seaborn want.

    Columns:

    - trial: the fingerprint, which names the file of the trial and `thinbert export RUN:FINGERPRINT`;
    - arm: of an ablation (a trial that two arms share has its rows once for each); missing for a search;
    - seed: of the trial;
    - task: such as `sentiment`; missing for what is no task's: the mean over the tasks, latency, size, time;
    - metric: such as `accuracy`, as the test split gives it; `validation/accuracy` is what a search sees and
      `onnx-int8/accuracy` what that runtime scores;
    - value: scores (`accuracy`, `span_f1`, ...) in per cent, `latency_ms` in milliseconds, `latency_ratio` in times of
      the reference, `train_seconds` in seconds, `peak_memory_bytes` in bytes, `flops` as 2 x multiply-adds of one
      sequence, `parameters` as a count;
    - low, high: the recorded 95 % interval in the unit of the value, missing where there is none;
    - changed: what differs from the baseline, in words; `nothing` for the baseline itself, missing where no baseline
      was recorded.

    A trial without an accuracy (it diverged, failed, or was not scored) has a row for it whose value is missing.

    Args:
        run: the path of a run folder, or a Run. A file of a folder that cannot be used is a warning.

    Raises:
        ValueError: a path that is no run folder.
    """
    found = given_run(run)
    rows = [
        {**who, **measured}
        for record in found.records
        for who in _identities(record, baseline_of(found.study))
        for measured in _measured(record)
    ]
    return _typed(rows, TRIAL_COLUMNS)


def curves(run: RunSource) -> pd.DataFrame:
    """Every logged value of every training, one row each.

    Columns: trial, arm, seed, changed as in `trials`; stage (such as `distillation`), step (an update of the student,
    counted within the stage), metric (such as `loss`) and value (in the metric's own unit).

    Args:
        run: as for `trials`.
    """
    found = given_run(run)
    rows = [
        {**who, **{name: point[name] for name in ("stage", "step", "metric", "value")}}
        for record in found.records
        for who in _identities(record, baseline_of(found.study))
        for point in record["curves"]
    ]
    return _typed(rows, CURVE_COLUMNS)


def _identities(record: Record, baseline: Record | None) -> list[dict[str, Any]]:
    """Who a record is, once for each arm that it belongs to."""
    arms = dict.fromkeys(str(trial["arm"]) for trial in record["trials"] if trial.get("arm"))
    changed = None
    if baseline is not None:
        name = point_name(record["spec"], baseline)
        changed = NOTHING if name == BASELINE_NAME else name
    seed = record["spec"].get("seed")
    who = {"trial": record["fingerprint"], "seed": seed if isinstance(seed, int) else None, "changed": changed}
    return [{**who, "arm": arm} for arm in arms or [None]]


def _measured(record: Record) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if accuracy_of(record) is None:
        rows.append({"metric": "accuracy"})
    primary_first = sorted(record["measurements"], key=lambda item: not item["conditions"].get("primary", True))
    for item in primary_first:
        task, metric = _task_and_metric(item)
        interval = item.get("interval") or {}
        rows.append({"task": task, "metric": metric, "value": item["value"]})
        rows[-1] |= {end: interval.get(end) for end in ("low", "high")}
    return rows


def _task_and_metric(item: Record) -> tuple[str | None, str]:
    """The task of a score, and its metric without it, such as `validation/accuracy`."""
    metric, conditions = item["metric"], item["conditions"]
    if conditions.get("split") == "validation" and not metric.startswith("validation/"):
        metric = f"validation/{metric}"
    task = conditions.get("task") or (metric.rpartition("/")[0] if is_task_score(item) else None)
    if not isinstance(task, str):
        return None, metric
    before, found, after = f"/{metric}".rpartition(f"/{task}/")
    return (task, f"{before}/{after}".strip("/")) if found else (task, metric)


def _typed(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    kinds = {"seed": "Int64", "step": "Int64", "value": "float64", "low": "float64", "high": "float64"}
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype({name: kinds.get(name, "string") for name in columns})


def claims(run: RunSource) -> pd.DataFrame:
    """Every claim of a study with its verdict, one row each; empty where none are declared.

    Columns as in the page's table `claims`: claim, says, source, test, blocks, verdict, contrast (what is subtracted
    from what), unit (of effect, deviation, low, high and margin), level (1 minus it is that of the interval), p,
    p_holm, n (blocks), num_lost, and how many more blocks would settle an inconclusive one.

    Args:
        run: as for `trials`.

    Raises:
        ValueError: study.json holds one that is no claim.
    """
    from reports.claim_tables import CLAIM_COLUMNS, claim_rows  # whose tables read this module
    from reports.verdict import verdicts

    return pd.DataFrame(claim_rows(verdicts(given_run(run))), columns=list(CLAIM_COLUMNS))


def knobs(run: RunSource) -> pd.DataFrame:
    """How much each knob of a search decided, one row per objective and knob; empty where there are too few trials.

    Columns: objective (`accuracy` or `latency`), num_trials (distinct complete configurations), knob, divergence
    (PED-ANOVA's; 0 is no difference), share (of the sum over the knobs), chance (what shuffled results reach).

    Args:
        run: as for `trials`.
    """
    rows = [
        {"objective": result.objective, "num_trials": result.num_trials, **asdict(knob)}
        for result in run_importance(given_run(run))
        for knob in result.knobs
    ]
    return pd.DataFrame(rows, columns=["objective", "num_trials", "knob", "divergence", "share", "chance"])
