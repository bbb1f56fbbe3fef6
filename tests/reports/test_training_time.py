"""The time that trials took beside the predicted one: counted by hand, on the study's page and in the book."""

from dataclasses import replace
from typing import Any

import pytest

from model_zoo.presets import mobilebert_tiny
from reports.training_time import time_facts, training_time
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.predict import predict
from search.recipe import FineTuning, Optimizer, PreTraining, Recipe
from search.trial import TrialSpec
from search.values import to_json

STUDENT = mobilebert_tiny()
STAGE: dict[str, Any] = {"steps": 10, "batch_size": 2, "optimizer": Optimizer(learning_rate=0.001)}
SPEC = TrialSpec(
    student=STUDENT,
    recipe=Recipe(pre_training=PreTraining(**STAGE), fine_tuning=FineTuning(**STAGE)),
    data=DataSpec(corpus="a", vocabulary="b", vocab_size=STUDENT.vocab_size, length=16, tasks=()),
    seed=0,
)


def record(spec: TrialSpec, seconds: float | None, status: str = "complete") -> dict[str, Any]:
    measured = [] if seconds is None else [{"metric": "train_seconds", "value": seconds, "conditions": {}}]
    return {"fingerprint": fingerprint(spec), "status": status, "spec": to_json(spec), "measurements": measured}


def test_only_complete_trials_that_can_be_predicted_are_compared() -> None:
    longer = replace(SPEC, recipe=replace(SPEC.recipe, pre_training=PreTraining(**STAGE | {"steps": 40})))
    unreadable = record(SPEC, 7.0) | {"spec": {"student": {"num_heads": 0}}}
    records = [
        record(SPEC, 50.0), record(replace(SPEC, seed=1), 70.0), record(longer, 200.0), record(longer, None),
        record(replace(SPEC, seed=2), 3.0, "diverged"), unreadable,
    ]  # fmt: skip
    found = training_time(records)
    assert (found.num_trials, found.seconds) == (5, 330.0)
    assert (found.num_compared, found.compared_seconds) == (3, 320.0)
    wanted = 2 * predict(SPEC).train_seconds + predict(longer).train_seconds
    assert (
        found.predicted_seconds == pytest.approx(wanted) and predict(longer).train_seconds > predict(SPEC).train_seconds
    )
    actual, predicted = dict(time_facts(records)).values()
    assert actual == "5 min 30 s of one core, 5 trials"
    assert "the 3 complete trials it is for took 5 min 20 s, " in predicted
    assert predicted.endswith(f"{320 / wanted:.2f} times as long")


def test_what_was_not_recorded_or_cannot_be_predicted_is_said_so() -> None:
    assert dict(time_facts([])) == {
        "training took": "not recorded",
        "training was predicted to take": "no complete trial with a time has a specification that this version can "
        "predict",
    }
    assert training_time([record(SPEC, None)]).num_trials == 0
