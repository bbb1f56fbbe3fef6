"""Tiny specs and records. Modules of model_zoo are imported inside fixtures: the shape checker hooks in later."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from search.record import TrialRecord
    from search.study import Ablation, Search
    from search.trial import TrialSpec


@pytest.fixture
def make_spec() -> "Callable[..., TrialSpec]":
    """Makes a tiny trial on imaginary data, with a teacher if asked; `fields` are those of the student's encoder."""
    from dataclasses import replace

    from model_zoo.config import EncoderConfig
    from search.data.spec import DataSpec, TaskSpec
    from search.recipe import FineTuning, KnowledgeTransfer, Optimizer, PreTraining, Recipe
    from search.trial import TrialSpec

    names = ("unacceptable", "acceptable")
    tasks = (
        TaskSpec(name="acceptability", kind="classification", metric="accuracy", label_names=names, identity="b" * 64),
        TaskSpec(name="answering", kind="span", metric="span_f1", label_names=(), identity="c" * 64),
    )
    data = DataSpec(corpus="0" * 64, vocabulary="a" * 64, vocab_size=50, length=16, tasks=tasks)
    rate = Optimizer(kind="lamb", learning_rate=0.002, warmup=0.2)
    fine_tuning = FineTuning(steps=5, batch_size=4, optimizer=Optimizer(learning_rate=0.001))
    bare = Recipe(pre_training=PreTraining(steps=7, batch_size=4, optimizer=rate), fine_tuning=fine_tuning)
    encoder = EncoderConfig(
        num_layers=2,
        hidden_size=16,
        bottleneck_size=32,
        num_heads=2,
        feed_forward_size=64,
        embedding_size=8,
        vocab_size=50,
        max_positions=16,
    )

    def make(*, with_teacher: bool = False, seed: int = 0, **fields: Any) -> TrialSpec:
        teacher = TrialSpec(student=encoder, recipe=bare, data=data, seed=seed)
        student = replace(encoder, **{"bottleneck_size": 8, "num_feed_forward": 2, "feed_forward_size": 32, **fields})
        if not with_teacher:
            return replace(teacher, student=student)
        transfer = KnowledgeTransfer(steps=6, batch_size=4, optimizer=rate, average_heads=True)
        distillation = PreTraining(steps=8, batch_size=4, optimizer=rate, teacher_share=0.5)
        recipe = Recipe(knowledge_transfer=transfer, pre_training=distillation, fine_tuning=fine_tuning)
        return TrialSpec(student=student, recipe=recipe, data=data, seed=seed, teacher=teacher)

    return make


@pytest.fixture
def make_record() -> "Callable[..., TrialRecord]":
    """Makes a record of a spec: complete with both objectives, or of another status without any."""
    from search.fingerprint import fingerprint
    from search.record import CurvePoint, Interval, Measurement, TrialRecord

    def make(spec: Any, accuracy: float | None = 70.0, ratio: float = 0.5, **fields: Any) -> TrialRecord:
        measured = []
        if accuracy is not None:
            conditions: dict[str, Any] = {"split": "validation", "tasks": 2}
            name = "validation/accuracy"
            measured.append(Measurement(metric=name, value=accuracy, unit="%", n=2, conditions=conditions))
        interval = Interval(low=0.9 * ratio, high=1.1 * ratio, level=0.95)
        measured.append(
            Measurement(metric="latency_ratio", value=ratio, unit="x reference", n=20, conditions={}, interval=interval)
        )
        defaults: dict[str, Any] = {
            "fingerprint": fingerprint(spec),
            "status": "complete" if accuracy is not None else "diverged",
            "role": "search",
            "spec": spec,
            "measurements": tuple(measured),
            "curves": (CurvePoint(stage="pre-training", step=3, metric="loss", value=2.5),),
            "provenance": {"commit": "f" * 40, "versions": {"torch": "2.13.0"}, "cores": 2},
        }
        return TrialRecord(**(defaults | fields))

    return make


@pytest.fixture
def make_search(make_spec: Any) -> "Callable[..., Search]":
    """Makes a search over width and heads around the tiny trial, with fields replaced."""
    from dataclasses import replace

    from search.latency.case import LatencyCase
    from search.study import Search

    baseline = make_spec(with_teacher=True)

    def space(trial: Any) -> Any:
        width = trial.suggest_categorical("bottleneck_size", [4, 8, 12])
        return replace(
            baseline.student, bottleneck_size=width, num_heads=trial.suggest_categorical("num_heads", [1, 2, 4])
        )

    defaults: dict[str, Any] = {
        "name": "tiny-search",
        "question": "Which is best?",
        "scale": "smoke",
        "baseline": baseline,
        "space": space,
        "num_trials": 4,
        "generation_size": 2,
        "first": ({"bottleneck_size": 8, "num_heads": 2},),
        "latency": LatencyCase(batch=1, length=16),
        "latency_rounds": 3,
        "startup_trials": 2,
    }
    return lambda **fields: Search(**(defaults | fields))


@pytest.fixture
def make_ablation(make_spec: Any) -> "Callable[..., Ablation]":
    """Makes an ablation of two arms (relu against gelu) with six seeds, with fields replaced."""
    from search.latency.case import LatencyCase
    from search.study import Ablation, Arm

    arms = (
        Arm(name="gelu", because="the baseline", spec=make_spec(with_teacher=True)),
        Arm(name="relu", because="cheaper", spec=make_spec(with_teacher=True, activation="relu")),
    )
    defaults: dict[str, Any] = {
        "name": "tiny-ablation",
        "question": "Does it matter?",
        "scale": "cpu",
        "arms": arms,
        "seeds": (0, 1, 2, 3, 4, 5),
        "smallest_effect": 1.0,
        "latency": LatencyCase(batch=1, length=16),
        "latency_rounds": 3,
    }
    return lambda **fields: Ablation(**(defaults | fields))
