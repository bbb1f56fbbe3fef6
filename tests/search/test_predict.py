"""Predictions grow with what they are made of and need no data."""

from dataclasses import replace
from typing import Any

import pytest

from model_zoo.cost import cost
from search.predict import Prediction, predict, together, train_seconds, work_of
from search.recipe import TaskDistillation, TripleLoss
from search.study import at_seed


def test_a_prediction_is_positive_in_every_part(make_spec: Any) -> None:
    for spec in (make_spec(), make_spec(with_teacher=True), make_spec(with_teacher=True).teacher):
        found = predict(spec)
        assert found.train_seconds > 0 and found.memory_bytes > 400_000_000 and found.disk_bytes > 0


def test_more_steps_take_more_time_and_no_more_disk(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    recipe = spec.recipe
    for longer in (
        replace(recipe, pre_training=replace(recipe.pre_training, steps=80)),
        replace(recipe, knowledge_transfer=replace(recipe.knowledge_transfer, steps=60)),
        replace(recipe, fine_tuning=replace(recipe.fine_tuning, steps=50)),
    ):
        found, before = predict(replace(spec, recipe=longer)), predict(spec)
        assert found.train_seconds > before.train_seconds
        assert found.disk_bytes == before.disk_bytes


def test_steps_without_a_teacher_are_proportional_in_time(make_spec: Any) -> None:
    def seconds(steps: int) -> float:
        spec = make_spec()
        return predict(
            replace(spec, recipe=replace(spec.recipe, pre_training=replace(spec.recipe.pre_training, steps=steps)))
        ).train_seconds

    assert abs((seconds(300) - seconds(200)) - (seconds(200) - seconds(100))) < 1e-9


def test_a_wider_encoder_costs_more_of_everything(make_spec: Any) -> None:
    small, large = predict(make_spec()), predict(make_spec(feed_forward_size=4000))
    assert large.train_seconds > small.train_seconds
    assert large.memory_bytes > small.memory_bytes
    assert large.disk_bytes > small.disk_bytes


def test_the_teacher_adds_time_and_memory(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    alone = replace(
        spec.recipe, knowledge_transfer=None, pre_training=replace(spec.recipe.pre_training, teacher_share=0)
    )
    without = replace(spec, recipe=alone, teacher=None)
    assert predict(spec).train_seconds > predict(without).train_seconds
    assert predict(spec).memory_bytes > predict(without).memory_bytes


def test_the_disk_holds_the_encoder_once_and_once_per_task(make_spec: Any) -> None:
    spec = make_spec()
    one_task = replace(spec, data=replace(spec.data, tasks=spec.data.tasks[:1]))
    assert predict(spec).disk_bytes - predict(one_task).disk_bytes == 4 * cost(spec.student).parameters


def test_a_prediction_is_a_value(make_spec: Any) -> None:
    assert predict(make_spec()) == predict(make_spec())
    assert isinstance(predict(make_spec()), Prediction)


def seconds_of(spec: Any, **fields: Any) -> float:
    return predict(replace(spec, recipe=replace(spec.recipe, **fields))).train_seconds


def test_every_strategy_and_objective_has_its_own_price(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    recipe = spec.recipe
    transfer, tuning = recipe.knowledge_transfer, recipe.fine_tuning
    progressive = seconds_of(spec)
    # Joint runs all blocks at every step, auxiliary the vocabulary's logits too.
    joint = seconds_of(spec, knowledge_transfer=replace(transfer, strategy="joint"))
    auxiliary = seconds_of(spec, knowledge_transfer=replace(transfer, strategy="auxiliary"))
    assert progressive < joint < auxiliary
    triple = replace(recipe.pre_training, teacher_share=0.0, triple=TripleLoss())
    assert seconds_of(spec, pre_training=triple) > progressive
    logits = TaskDistillation(teacher_share=0.5)
    stage = replace(transfer, strategy="joint", copied="nothing")
    both = replace(logits, intermediate=stage)
    distilled, two_stages = (seconds_of(spec, fine_tuning=replace(tuning, distillation=one)) for one in (logits, both))
    assert progressive < distilled < two_stages


def test_what_trials_of_a_seed_hear_of_a_teacher_is_counted_once(make_spec: Any) -> None:
    first = make_spec(with_teacher=True)
    narrower = replace(first, student=replace(first.student, feed_forward_size=16))
    works = [work_of(spec) for spec in (first, narrower)]
    assert works[0].heard == works[1].heard and len(works[0].heard) == 2  # transfer, distillation
    heard = sum(work.seconds for work in works[0].heard.values())
    alone = [train_seconds(spec) for spec in (first, narrower)]
    assert [work.own.seconds + heard for work in works] == pytest.approx(alone)
    assert together(works) == pytest.approx(sum(alone) - heard) and heard > 0
    assert together([works[0], work_of(at_seed(narrower, 1))]) == pytest.approx(sum(alone))


def test_other_blocks_or_updates_of_a_teacher_are_heard_anew(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    joint = replace(spec, recipe=replace(spec.recipe, knowledge_transfer=replace(
        spec.recipe.knowledge_transfer, strategy="joint")))  # fmt: skip
    without = replace(spec, recipe=replace(spec.recipe, knowledge_transfer=None))
    heard = [set(work_of(one).heard) for one in (spec, joint, without)]
    assert len(heard[0] & heard[1]) == 1  # the distillation after the transfer
    assert not heard[0] & heard[2]  # it begins at the first update there


def test_what_is_never_kept_is_each_trials_own(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    triple = replace(spec.recipe.pre_training, teacher_share=0.0, triple=TripleLoss())
    tuning = replace(spec.recipe.fine_tuning, distillation=TaskDistillation(teacher_share=0.5))
    on_labels = replace(spec.recipe, knowledge_transfer=None, pre_training=replace(triple, triple=None))
    bare = replace(spec, recipe=on_labels, teacher=None)
    for changed in ({"pre_training": triple}, {"pre_training": replace(triple, triple=None), "fine_tuning": tuning}):
        one = replace(spec, recipe=replace(spec.recipe, knowledge_transfer=None, **changed))
        assert work_of(one).heard == {} and work_of(one).own.flops > work_of(bare).own.flops
