"""What a student cannot copy from its teacher is refused when the trial is declared, with the way out."""

import re
from dataclasses import replace
from typing import Any

import pytest

from search.fine_tuning_grid import FineTuningGrid
from search.matching import last_map, resolved_map, skip_map, uniform_map
from search.recipe import PatientStates, Recipe, TaskDistillation, TripleLoss
from search.trial import TrialSpec, planned_updates


def changed(spec: TrialSpec, student: dict[str, Any] | None = None, **transfer: Any) -> TrialSpec:
    knowledge_transfer = replace(spec.recipe.knowledge_transfer, **transfer)  # type: ignore[type-var]
    recipe = replace(spec.recipe, knowledge_transfer=knowledge_transfer)
    return replace(spec, student=replace(spec.student, **(student or {})), recipe=recipe)


def without_transfer(spec: TrialSpec, student: dict[str, Any] | None = None, **fields: Any) -> TrialSpec:
    recipe: Recipe = replace(spec.recipe, knowledge_transfer=None, **fields)
    return replace(spec, student=replace(spec.student, **(student or {})), recipe=recipe)


def distilled(spec: TrialSpec, **fields: Any) -> dict[str, Any]:
    distillation = TaskDistillation(teacher_share=0.5, **fields)
    return {"fine_tuning": replace(spec.recipe.fine_tuning, distillation=distillation)}


NO_BLOCKS = {"feature_map_factor": 0.0, "mean_factor": 0.0, "variance_factor": 0.0, "attention_factor": 0.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: changed(s, {"num_layers": 3}),
            "knowledge transfer compares block l with block l: num_layers must be equal, got 3 (student) and 2 "
            "(teacher); set layer_map, such as uniform_map gives",
        ),
        (
            lambda s: changed(s, {"num_layers": 3}, layer_map=(0, 1)),
            "layer_map of the knowledge transfer must name one teacher block for each of 3 student blocks, got (0, 1)",
        ),
        (
            lambda s: changed(s, layer_map=(0, 2)),
            "layer_map of the knowledge transfer must name blocks from 0 to 1 of the teacher, got (0, 2)",
        ),
        (
            lambda s: changed(s, {"hidden_size": 20}),
            "feature maps are compared channel by channel: hidden_size must be equal, got 20 (student) and 16 "
            "(teacher); set projection=True and copied='nothing'",
        ),
        (
            lambda s: changed(s, {"hidden_size": 20}, projection=True),
            "embeddings are copied from the teacher: hidden_size must be equal, got 20 (student) and 16 (teacher); set "
            "copied='nothing'",
        ),
        (
            lambda s: changed(s, feature_map_factor=0.0, mean_factor=0.0, variance_factor=0.0, projection=True),
            "a projection is for feature maps or embeddings, got it with none; set projection=False",
        ),
        (
            lambda s: changed(s, attention_form="scores"),
            "attention scores are compared head by head, got average_heads=True; set attention_form='divergence'",
        ),
        (
            lambda s: without_transfer(
                s,
                {"hidden_size": 20},
                pre_training=replace(s.recipe.pre_training, teacher_share=0, triple=TripleLoss()),
            ),
            "the triple loss compares directions of hidden states: hidden_size must be equal, got 20 (student) and 16 "
            "(teacher); use teacher_share instead",
        ),
        (
            lambda s: without_transfer(s, {"hidden_size": 20}, **distilled(s, patient=PatientStates(layer_map=(0,)))),
            "patient states are compared channel by channel: hidden_size must be equal, got 20 (student) and 16 "
            "(teacher); use an intermediate stage with projection=True",
        ),
        (
            lambda s: without_transfer(s, **distilled(s, patient=PatientStates(layer_map=(0, 1)))),
            "layer_map of the patient states must name one teacher block for each of 1 student blocks, got (0, 1)",
        ),
        (
            lambda s: without_transfer(s, copied_blocks=(0, 1)),
            "copied_blocks start blocks from blocks of the same shape: bottleneck_size must be equal, got 8 (student) "
            "and 32 (teacher); set copied_blocks=()",
        ),
        (
            lambda s: replace(without_transfer(s, **distilled(s)), teacher=None),
            "a recipe with a teacher's share and task distillation needs a teacher, got none; name one or take "
            "them out",
        ),
        (
            lambda s: changed(s, strategy="auxiliary", batch_size=5),
            "auxiliary transfer is one stage with the pre-training: batch_size must be equal, got 5 and 4",
        ),
        (
            lambda s: changed(s, embedding_factor=1.0),
            "embeddings that are copied have nothing left to learn: embedding_factor must be 0, got 1.0; set "
            "copied='nothing'",
        ),
        (
            lambda s: changed(s, embedding_factor=1.0, copied="nothing", **NO_BLOCKS),
            "strategy='progressive' trains block by block: it needs a factor of maps or attention above 0, got "
            "embedding_factor=1.0 alone; use strategy='joint'",
        ),
        (
            lambda s: changed(s, strategy="joint", freeze="hard"),
            "freeze='hard' is for the phases of strategy='progressive', got 'joint'",
        ),
        (
            lambda s: distilled(s, intermediate=s.recipe.knowledge_transfer),
            "the intermediate stage of a task teaches all blocks at once and copies nothing: it needs "
            "strategy='joint' and copied='nothing', got 'progressive' and 'embeddings_and_heads'",
        ),
    ],
)
def test_what_cannot_be_matched_says_why_and_the_way_out(make_spec: Any, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        change(make_spec(with_teacher=True))


def test_depth_and_width_may_differ_with_a_layer_map_and_a_projection(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    found = changed(
        spec, {"num_layers": 1, "hidden_size": 20}, layer_map=(1,), projection=True, copied="nothing", steps=5
    )
    assert resolved_map(found.recipe.knowledge_transfer, 1) == (1,)  # type: ignore[arg-type]
    # Heads need not be equal where attention is not compared, nor steps a multiple of blocks in joint transfer.
    changed(spec, {"num_heads": 1}, average_heads=False, attention_factor=0.0)
    changed(spec, strategy="joint", steps=7)


def test_layer_maps_are_those_of_the_papers() -> None:
    assert uniform_map(6, 24) == (3, 7, 11, 15, 19, 23)  # TensorFlow 2's example
    assert uniform_map(4, 12) == (2, 5, 8, 11)  # TinyBERT
    assert skip_map(6, 12) == (1, 3, 5, 7, 9) and last_map(6, 12) == (6, 7, 8, 9, 10)  # PKD
    with pytest.raises(ValueError, match=r"^a student's depth must be from 1 to its teacher's 2, got 3$"):
        uniform_map(3, 2)


def test_planned_updates_count_the_intermediate_stage_of_every_task(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    stage = replace(spec.recipe.knowledge_transfer, strategy="joint", copied="nothing", steps=3)
    found = replace(spec, recipe=replace(spec.recipe, **distilled(spec, intermediate=stage)))
    assert planned_updates(found) == planned_updates(spec) + 2 * 3
    assert planned_updates(changed(spec, strategy="auxiliary")) == planned_updates(spec)


def test_the_papers_grid_has_270_points_whose_steps_cover_their_epochs(make_spec: Any) -> None:
    base = make_spec().recipe.fine_tuning
    points = FineTuningGrid().settings(base, num_rows=100)
    assert len(set(points)) == 3 * 10 * 9
    assert {point.batch_size for point in points} == {16, 32, 48}
    assert {round(point.optimizer.learning_rate * 1e5, 9) for point in points} == set(range(1, 11))
    # 2 to 10 epochs of 100 rows, rounded up to whole batches.
    assert [point.steps for point in points if point.batch_size == 48][:9] == [5, 7, 9, 11, 13, 15, 17, 19, 21]
    with pytest.raises(ValueError, match=r"^num_rows must be at least 1, got 0$"):
        FineTuningGrid().settings(base, num_rows=0)
