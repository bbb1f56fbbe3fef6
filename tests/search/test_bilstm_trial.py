"""A BiLSTM as the student of a trial: its value, its refusals, and what is planned for it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from model_zoo.bilstm_config import BiLSTMConfig
from search.budget import Assumptions, stages_of
from search.dry_run import build_all, real_steps
from search.fingerprint import canonical, fingerprint
from search.own_code import own_code_of
from search.predict import predict
from search.race import contenders, raced
from search.recipe import PatientStates, PreTraining, TaskDistillation
from search.study import Arm, Equal, Race, plan
from search.training.planned import planned_stages
from search.trial import TrialSpec, planned_updates
from search.values import from_json, to_json
from search.worker import static_measurements

STUDENT = BiLSTMConfig(embedding_size=8, num_channels=1, hidden_size=6, dense_size=8, vocab_size=50)
DISTILLED = TaskDistillation(teacher_share=1.0, logits="squared_error")


@pytest.fixture
def spec(make_spec: Any) -> TrialSpec:
    """The tiny trial's teacher and fine-tuning, the student a BiLSTM."""
    return bilstm_of(make_spec(with_teacher=True))


def bilstm_of(encoder: TrialSpec) -> TrialSpec:
    recipe = replace(
        encoder.recipe,
        knowledge_transfer=None,
        pre_training=replace(encoder.recipe.pre_training, steps=0, teacher_share=0.0),
        fine_tuning=replace(encoder.recipe.fine_tuning, distillation=DISTILLED),
    )
    return replace(encoder, student=STUDENT, recipe=recipe)


def tuned(spec: TrialSpec, **fields: Any) -> TrialSpec:
    return replace(spec, recipe=replace(spec.recipe, fine_tuning=replace(spec.recipe.fine_tuning, **fields)))


def test_a_trial_comes_back_from_json_with_its_kind_of_student(spec: TrialSpec, make_spec: Any) -> None:
    for one in (spec, replace(spec, teacher=None, recipe=tuned(spec, distillation=None).recipe), make_spec()):
        found = from_json(TrialSpec, json.loads(json.dumps(to_json(one))))
        assert found == one and type(found.student) is type(one.student)
        assert fingerprint(found) == fingerprint(one)


def test_the_fingerprint_of_a_bilstms_trial_is_the_same_for_ever(spec: TrialSpec) -> None:
    assert fingerprint(spec) == "bc5341c0cfc274dc"
    assert "num_channels" in canonical(spec.student)  # type: ignore[operator]  # which no encoder has


def test_a_student_of_neither_kind_is_named_by_its_field(make_spec: Any) -> None:
    document = to_json(make_spec())
    for student, message in (
        ({"width": 3}, "student has no field 'width'"),
        (3, "student must be a JSON object, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            from_json(TrialSpec, {**document, "student": student})


REFUSED: list[tuple[Callable[[TrialSpec, TrialSpec], Any], str]] = [
    (
        lambda spec, other: replace(
            spec, recipe=replace(spec.recipe, knowledge_transfer=other.recipe.knowledge_transfer)
        ),
        "got a recipe with knowledge transfer, which compares blocks; take it out",
    ),
    (
        lambda spec, other: replace(spec, recipe=replace(spec.recipe, pre_training=other.recipe.pre_training)),
        "got a recipe with pre-training, whose heads read an encoder; take it out",
    ),
    (lambda spec, other: tuned(spec, multi_task=True), "got a recipe with multi_task, which shares an encoder"),
    (
        lambda spec, other: replace(spec, recipe=replace(spec.recipe, copied_blocks=(0, 1))),
        "got a recipe with copied_blocks",
    ),
    (lambda spec, other: replace(spec, recipe=replace(spec.recipe, pooler=True)), "got a recipe with a pooler"),
    (
        lambda spec, other: tuned(spec, optimizer=replace(spec.recipe.fine_tuning.optimizer, layer_decay=0.5)),
        "got a recipe with a layer_decay, which counts blocks",
    ),
    (
        lambda spec, other: tuned(spec, distillation=replace(DISTILLED, patient=PatientStates(layer_map=(0,)))),
        "got a recipe with patient states of blocks",
    ),
    (lambda spec, other: replace(spec, data=replace(spec.data, tasks=())), "got data without a task; name one"),
    (
        lambda spec, other: replace(spec, student=replace(STUDENT, form="pair")),
        "form and num_outputs of a BiLSTM are each task's: leave 'sentence' and 2, got 'pair' and 2",
    ),
    (lambda spec, other: replace(spec, student=replace(STUDENT, num_channels=2)), "num_channels must be 1, got 2"),
    (
        lambda spec, other: replace(spec, student=replace(STUDENT, vocab_size=49)),
        "the student's vocab_size must be that of the data, got 49 and 50",
    ),
    (
        lambda spec, other: replace(other, teacher=replace(tuned(spec, distillation=None), teacher=None)),
        "a teacher must be an encoder, got a BiLSTM; name a trial with an encoder",
    ),
    (lambda spec, other: spec.encoder, "this is for encoders, got a trial whose student is a BiLSTM"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_a_bilstm_cannot_do_is_refused_with_the_reason(
    spec: TrialSpec, make_spec: Any, make: Callable[[TrialSpec, TrialSpec], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(spec, make_spec(with_teacher=True))


def test_an_encoder_needs_an_update_before_fine_tuning(make_spec: Any) -> None:
    spec = make_spec()
    none = PreTraining(steps=0, batch_size=4, optimizer=spec.recipe.pre_training.optimizer)
    with pytest.raises(ValueError, match="a recipe needs an update before fine-tuning, got 0; only a BiLSTM has none"):
        replace(spec, recipe=replace(spec.recipe, pre_training=none))


def test_its_stages_are_those_of_the_tasks_alone(spec: TrialSpec) -> None:
    assert [stage.kind for stage in planned_stages(spec)] == ["fine-tuning", "fine-tuning"]
    assert planned_updates(spec) == 2 * spec.recipe.fine_tuning.steps
    assert own_code_of(spec) == ()


def test_its_size_is_measured_with_what_was_counted(spec: TrialSpec) -> None:
    parameters, flops = static_measurements(spec)
    lstm, dense = 2 * 4 * 6 * (8 + 6), 4 * 2 * 6 * 8
    assert parameters.value == 50 * 8 + lstm + 2 * 8 * 6 + dense + 8
    assert flops.value == 2 * 16 * lstm + 2 * dense
    assert parameters.conditions["of"] == "word vectors, LSTM and the dense layer of a pair, no logits' layer"


def test_the_budget_is_what_was_computed_by_hand(spec: TrialSpec) -> None:
    pair, span = stages_of(spec, Assumptions())  # 16 tokens, 5 steps of 4; two labels, then a span
    lstm = 2 * 4 * 6 * (8 + 6)
    assert pair.student_flops == 3 * 5 * 4 * 2 * (16 * lstm + 8 * (4 * 12 + 2))
    assert span.student_flops == 3 * 5 * 4 * 2 * (16 * lstm + 16 * 8 * (12 + 2))
    assert span.teacher_flops - pair.teacher_flops == 5 * 4 * 2 * 16 * 2 * 15  # logits of 16 tokens, not of the first
    assert pair.memory.weights == 4 * (50 * 8 + lstm + 2 * 8 * 6 + (4 * 12 + 1) * 8 + 9 * 2)


def test_more_steps_are_predicted_to_take_longer(spec: TrialSpec) -> None:
    found, longer = predict(spec), predict(tuned(spec, steps=50))
    assert longer.train_seconds > 5 * found.train_seconds > 0
    assert longer.disk_bytes == found.disk_bytes > 0 and found.memory_bytes > 400_000_000


def test_it_is_built_as_planned(spec: TrialSpec) -> None:
    built = build_all([spec])
    assert [one.config for one in built] == [STUDENT, spec.teacher.student]  # type: ignore[union-attr]
    assert built[0].encoder_parameters == static_measurements(spec)[0].value


def test_its_stages_are_stepped_by_a_dry_run(spec: TrialSpec) -> None:
    steps = {step.stage: step for step in real_steps([spec], batch_size=2, length=16)}
    found = steps["student's BiLSTM's fine-tuning on squared error logits"]
    assert found.moved > 0 and found.loss > 0 and found.planned_bytes > 0


def test_in_an_ablation_it_is_compared_at_equal_updates_with_nobody(spec: TrialSpec, make_ablation: Any) -> None:
    study = make_ablation()
    arms = (*study.arms, Arm(name="BiLSTM", because="no encoder", spec=spec))
    encoders = Equal(what="student_updates", tolerance=0.0, arms=("gelu", "relu"))
    assert len(plan(replace(study, arms=arms, equal=(encoders,), seeds=tuple(range(8))))) == 24
    with pytest.raises(ValueError, match=r"student_updates must be equal within 0\.0%, got 0 for 'BiLSTM' and 14"):
        plan(replace(study, arms=arms, equal=(replace(encoders, arms=()),), seeds=tuple(range(8))))
    with pytest.raises(ValueError, match="scored in onnx-int8 must be an encoder, got the BiLSTM of 'BiLSTM'; leave"):
        plan(replace(study, arms=arms, score_runtimes=("onnx-int8",), seeds=tuple(range(8))))


def test_a_race_of_rates_leaves_it_alone(spec: TrialSpec, make_ablation: Any) -> None:
    study = make_ablation()
    arms = (*study.arms, Arm(name="BiLSTM", because="no encoder", spec=spec))
    study = replace(study, arms=arms, seeds=tuple(range(8)), race=Race(candidates=(1e-3, 2e-3), seed=99))
    assert {one.arm for one in contenders(study)} == {"gelu"}
    assert raced(study, {"layer_norm": 1.0}).arms[-1] == arms[-1]
