"""The processor time that trials took, beside what is predicted for them from their specifications alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reports.points import configuration_key
from reports.readable import MISSING, duration, plural
from reports.records import Record, value_of
from search.predict import TrialWork, together, work_of
from search.trial import TrialSpec
from search.values import from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTime:
    """Of one core; teachers, which are trained once for all, and latency sessions not included."""

    num_trials: int
    """With a recorded time, whatever became of them."""
    seconds: float
    num_compared: int
    """Of those the complete ones whose specification this version can predict: a trial that diverged stopped early."""
    compared_seconds: float
    """What these took."""
    predicted_seconds: float
    """What is predicted for these, what several hear of a teacher counted once."""


def training_time(records: Sequence[Record], keys: Sequence[str] | None = None) -> TrainingTime:
    """Add up the times of trials; one without a recorded time counts nowhere.

    Args:
        keys: of the records' configurations, where somebody has found them already.
    """
    keys = [configuration_key(record["spec"]) for record in records] if keys is None else keys
    timed = [
        (key, record, seconds)
        for key, record in zip(keys, records, strict=True)
        if (seconds := value_of(record, "train_seconds")) is not None
    ]
    known: dict[str, TrialWork | None] = {}
    compared = []
    for key, record, seconds in timed:
        if record["status"] == "complete":
            if key not in known:
                known[key] = _work(record)
            compared.append((seconds, _at_seed(known[key], record["spec"].get("seed"))))
    both = [(seconds, work) for seconds, work in compared if work is not None]
    return TrainingTime(
        num_trials=len(timed),
        seconds=sum(seconds for _, _, seconds in timed),
        num_compared=len(both),
        compared_seconds=sum(seconds for seconds, _ in both),
        predicted_seconds=together(work for _, work in both),
    )


def time_facts(records: Sequence[Record], keys: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """Actual and predicted time as facts for the provenance of a page; `keys` as for `training_time`."""
    found = training_time(records, keys)
    actual = f"{duration(found.seconds)} of one core, {plural(found.num_trials, 'trial')}" if found.num_trials else ""
    return [("training took", actual or MISSING), ("training was predicted to take", _prediction(found))]


def _prediction(found: TrainingTime) -> str:
    if not found.num_compared:
        return "no complete trial with a time has a specification that this version can predict"
    factor = found.compared_seconds / found.predicted_seconds
    text = f"{duration(found.predicted_seconds)}; the {plural(found.num_compared, 'complete trial')} it is for took "
    return f"{text}{duration(found.compared_seconds)}, {factor:.2f} times as long"


def _work(record: Record) -> TrialWork | None:
    """None for a specification that this version cannot read."""
    try:
        return work_of(from_json(TrialSpec, record["spec"]))
    except (ValueError, ArithmeticError):
        return None


def _at_seed(work: TrialWork | None, seed: Any) -> TrialWork | None:
    """What the same configuration runs with another seed: as much, and it hears other batches."""
    if work is None or not work.heard:
        return work
    return TrialWork(work.own, {said._replace(seed=seed): each for said, each in work.heard.items()})
