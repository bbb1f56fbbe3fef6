"""The GPU budget against numbers computed by hand, and built models against the plan."""

from dataclasses import replace
from typing import Any

import pytest

from model_zoo.cost import cost
from search.budget import Assumptions, gpu_hours, stages_of
from search.dry_run import build_all, real_steps
from search.held import head_parameters
from search.kept import kept_numbers
from search.passes import num_masked
from search.recipe import TaskDistillation, TripleLoss
from search.trial import TrialSpec


def test_the_tiny_trial_costs_what_was_computed_by_hand(make_spec: Any) -> None:
    spec = make_spec()  # 2 blocks, h 16, b 8, 2 feed-forwards of 32, 2 heads, embedding 8, 50 pieces, 16 tokens
    first = stages_of(spec, Assumptions())[0]
    embedding = 2 * 16 * 24 * 16
    block = 2 * 16 * (2 * 16 * 8 + 3 * 16 * 8 + 8 * 8 + 2 * 16 * 8 + 2 * 2 * 8 * 32)
    heads = 2 * 2 * (16 * 16 + 16 * 50) + 2 * 2 * 16
    assert num_masked(16) == 2
    assert first.student_flops == 3 * 7 * 4 * (embedding + 2 * block + heads)
    assert (first.tokens_per_step, first.tokens, first.teacher_flops) == (64, 448, 0)
    assert head_parameters(spec.student, pooler=False) == 50 * 8 + 50 + 16 * 17 + 32 + 34
    assert kept_numbers(spec.student, 16) == 16 * (24 + 32 + 2 * (24 + 8 + 16 + 8 + 32 + 2 * (64 + 16)))


def test_hours_are_flops_over_the_assumed_rate() -> None:
    assumed = Assumptions(share_of_peak=0.5)
    assert gpu_hours(round(989.5e12 * 1800), assumed) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="share_of_peak must be above 0 and at most 1, got 0"):
        Assumptions(share_of_peak=0)


def test_every_model_is_built_as_planned_and_every_kind_of_stage_steps(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    assert len(build_all([spec])) == 2
    steps = list(real_steps([spec], batch_size=1, length=16))
    assert [step.stage for step in steps] == [
        "teacher's pre-training",
        "teacher's fine-tuning on labels",
        "student's progressive transfer",
        "student's distillation",
        "student's fine-tuning on labels",
    ]
    assert all(step.moved > 0 and abs(step.loss) < float("inf") for step in steps)


EMBEDDING = 2 * 16 * 24 * 16
"""FLOPs of one sequence of the tiny networks."""
BLOCK = 2 * 16 * (2 * 16 * 8 + 3 * 16 * 8 + 8 * 8 + 2 * 16 * 8 + 2 * 2 * 8 * 32)
TEACHER_BLOCK = 2 * 16 * (2 * 16 * 32 + 3 * 16 * 32 + 32 * 32 + 2 * 16 * 32 + 2 * 32 * 64)
MASKED_HEAD = 2 * (16 * 16 + 16 * 50)
"""At one position."""


def with_transfer(spec: TrialSpec, **fields: Any) -> TrialSpec:
    assert spec.recipe.knowledge_transfer is not None
    transfer = replace(spec.recipe.knowledge_transfer, **fields)
    return replace(spec, recipe=replace(spec.recipe, knowledge_transfer=transfer))


def test_progressive_transfer_runs_block_after_block_and_joint_transfer_all_of_them(make_spec: Any) -> None:
    """6 updates of 4 sequences; embeddings were copied and have no backward pass."""
    progressive, joint = (
        stages_of(with_transfer(make_spec(with_teacher=True), strategy=strategy), Assumptions())[0]
        for strategy in ("progressive", "joint")
    )
    assert progressive.student_flops == 3 * 4 * (2 * EMBEDDING + 3 * (1 + 2) * BLOCK)
    assert progressive.teacher_flops == 3 * 4 * (2 * EMBEDDING + (1 + 2) * TEACHER_BLOCK)
    assert joint.student_flops == 6 * 4 * (EMBEDDING + 3 * 2 * BLOCK)
    assert joint.teacher_flops == 6 * 4 * (EMBEDDING + 2 * TEACHER_BLOCK)


def test_auxiliary_transfer_is_one_stage_as_long_as_transfer_and_pre_training(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    auxiliary, *tasks = stages_of(with_transfer(spec, strategy="auxiliary"), Assumptions())
    assert [auxiliary.name, *(stage.name for stage in tasks)] == [
        "auxiliary",
        "fine-tuning/acceptability",
        "fine-tuning/answering",
    ]
    assert (auxiliary.steps, auxiliary.batch_size) == (6 + 8, 4)
    heads = 2 * MASKED_HEAD + 2 * 2 * 16
    assert auxiliary.student_flops == 14 * 4 * 3 * (EMBEDDING + 2 * BLOCK + heads)
    assert auxiliary.teacher_flops == 14 * 4 * (EMBEDDING + 2 * TEACHER_BLOCK + 2 * MASKED_HEAD)


def test_embeddings_that_were_not_copied_and_a_projection_have_gradients_and_moments(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    copied, new = (
        stages_of(with_transfer(spec, strategy="joint", **fields), Assumptions())[0]
        for fields in ({}, {"copied": "nothing", "projection": True})
    )
    embedding, projection = 50 * 8 + (16 + 2) * 16 + 2 * 16 + 24 * 16 + 16, 16 * 16 + 16
    assert new.memory.gradients - copied.memory.gradients == 4 * (embedding + projection)
    assert new.memory.moments - copied.memory.moments == 8 * (embedding + projection)
    assert new.memory.weights - copied.memory.weights == 4 * projection
    assert new.student_flops - copied.student_flops == 6 * 4 * (2 * EMBEDDING + 3 * 2 * 2 * 16 * 16 * 16)


def test_a_task_has_its_intermediate_stage_and_no_pre_training_of_no_steps_is_planned(make_spec: Any) -> None:
    spec = with_transfer(make_spec(with_teacher=True), strategy="joint")
    transfer = spec.recipe.knowledge_transfer
    first = replace(transfer, copied="nothing", steps=2, batch_size=3)
    tuning = replace(
        spec.recipe.fine_tuning,
        distillation=TaskDistillation(teacher_share=1.0, logits="prediction", intermediate=first),
    )
    pre_training = replace(spec.recipe.pre_training, steps=0, teacher_share=0.0)
    stages = stages_of(
        replace(spec, recipe=replace(spec.recipe, pre_training=pre_training, fine_tuning=tuning)), Assumptions()
    )
    assert [(stage.name, stage.steps, stage.batch_size) for stage in stages] == [
        ("transfer", 6, 4),
        ("intermediate/acceptability", 2, 3),
        ("fine-tuning/acceptability", 5, 4),
        ("intermediate/answering", 2, 3),
        ("fine-tuning/answering", 5, 4),
    ]
    assert stages[1].student_flops == 2 * 3 * 3 * (EMBEDDING + 2 * BLOCK)
    assert stages[1].teacher_flops == 2 * 3 * (EMBEDDING + 2 * TEACHER_BLOCK)


def test_multi_task_training_is_one_stage(make_spec: Any) -> None:
    spec = make_spec()
    tuning = replace(spec.recipe.fine_tuning, multi_task=True)
    _, stage = stages_of(replace(spec, recipe=replace(spec.recipe, fine_tuning=tuning)), Assumptions())
    assert (stage.name, stage.steps, stage.batch_size) == ("multi-task", 2 * 5, 4)
    heads = 2 * 16 * 2 + 2 * 16 * 2 * 16  # two labels, then a span at 16 tokens
    assert stage.student_flops == 5 * 4 * 3 * (2 * (EMBEDDING + 2 * BLOCK) + heads)


def test_the_triple_loss_has_logits_at_every_token(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    pre_training = replace(spec.recipe.pre_training, teacher_share=0.0, triple=TripleLoss())
    recipe = replace(spec.recipe, knowledge_transfer=None, pre_training=pre_training)
    stage = stages_of(replace(spec, recipe=recipe), Assumptions())[0]
    distilled = stages_of(spec, Assumptions())[1]
    assert stage.student_flops == 8 * 4 * (3 * (EMBEDDING + 2 * BLOCK + 16 * MASKED_HEAD) + 2 * 2 * 16)
    assert stage.teacher_flops == 8 * 4 * (EMBEDDING + 2 * TEACHER_BLOCK + 16 * MASKED_HEAD)
    assert stage.memory.activations - distilled.memory.activations > 4 * 4 * 16 * 50 * 4


def test_the_teachers_of_an_ensemble_answer_with_their_tasks_networks_alone(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    tuning = replace(spec.recipe.fine_tuning, distillation=TaskDistillation(teacher_share=0.5))
    pre_training = replace(spec.recipe.pre_training, teacher_share=0.0)
    recipe = replace(spec.recipe, knowledge_transfer=None, pre_training=pre_training, fine_tuning=tuning)
    others = tuple(replace(spec.teacher, seed=seed) for seed in (1, 2))
    labels, first, second = stages_of(replace(spec, recipe=recipe, ensemble=others), Assumptions())
    one = cost(spec.teacher.encoder).parameters
    of_teacher = one + head_parameters(spec.teacher.encoder, pooler=False)
    assert labels.memory.teacher_weights == 0 and labels.memory.waiting == 4 * of_teacher
    assert first.memory.teacher_weights == 3 * 4 * (one + 2 * 17)
    student = cost(spec.encoder).parameters
    pretrained = student + head_parameters(spec.encoder, pooler=False)
    assert first.memory.waiting == 4 * (pretrained + of_teacher)
    assert second.memory.waiting == first.memory.waiting + 4 * (student + 2 * 17)
