"""A trial's checks, its name (fingerprint), and what differs between two trials."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from search.fingerprint import canonical, fingerprint
from search.trial import Change, changes, planned_updates

GOLDEN = {False: "f521bc6d5ed4927e", True: "c7e3f31602d81a25"}
"""A change here means that finished trials of earlier runs are not found any more: never change it by accident."""


@pytest.mark.parametrize("with_teacher", [False, True])
def test_the_fingerprint_of_a_trial_is_the_same_for_ever(make_spec: Any, with_teacher: bool) -> None:
    assert fingerprint(make_spec(with_teacher=with_teacher)) == GOLDEN[with_teacher]


def test_a_fingerprint_holds_no_path_and_no_label(make_spec: Any) -> None:
    written = json.dumps(canonical(make_spec(with_teacher=True)))
    assert "/" not in written
    keys = set(re.findall(r'"(\w+)":', written))
    assert not keys & {"path", "folder", "because", "arm", "study", "scale", "device", "threads", "workers"}


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: replace(spec, seed=1, teacher=replace(spec.teacher, seed=1)),
        lambda spec: replace(spec, student=replace(spec.student, norm="no_norm")),
        lambda spec: replace(spec, recipe=replace(spec.recipe, pooler=True)),
        lambda spec: replace(spec, teacher=replace(spec.teacher, recipe=replace(spec.teacher.recipe, pooler=True))),
    ],
)
def test_whatever_changes_the_answer_changes_the_fingerprint(make_spec: Any, change: Any) -> None:
    spec = make_spec(with_teacher=True)
    assert fingerprint(change(spec)) != fingerprint(spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: replace(s, seed=-1), "seed must be at least 0, got -1"),
        (
            lambda s: replace(s, student=replace(s.student, vocab_size=49)),
            "the student's vocab_size must be that of the data, got 49 and 50; use dataclasses.replace on one of them",
        ),
        (
            lambda s: replace(s, student=replace(s.student, max_positions=15)),
            "max_positions must be at least the sequence length of the data, got 15 and 16",
        ),
        (
            lambda s: replace(s, teacher=None),
            "a recipe with knowledge transfer and a teacher's share needs a teacher, got none; name one or take them "
            "out",
        ),
        (
            lambda s: replace(s, teacher=None, recipe=replace(s.recipe, knowledge_transfer=None)),
            "a recipe with a teacher's share needs a teacher, got none; name one or take them out",
        ),
        (
            lambda s: replace(s, teacher=replace(s.teacher, teacher=s.teacher)),
            "a teacher is trained without a teacher of its own, got one that has one",
        ),
        (lambda s: replace(s, seed=3), "teacher and student must share seed and data, got seeds 0 and 3"),
        (
            lambda s: replace(s, teacher=replace(s.teacher, data=replace(s.data, corpus="1" * 64))),
            "teacher and student must share seed and data, got seeds 0 and 0",
        ),
        (
            lambda s: replace(s, student=replace(s.student, num_layers=3), recipe=with_transfer(s.recipe, steps=6)),
            "knowledge transfer compares block l with block l: num_layers must be equal, got 3 (student) and 2 "
            "(teacher); set layer_map, such as uniform_map gives",
        ),
        (
            lambda s: replace(s, student=replace(s.student, hidden_size=20)),
            "feature maps are compared channel by channel: hidden_size must be equal, got 20 (student) and 16 "
            "(teacher); set projection=True and copied='nothing'",
        ),
        (
            lambda s: replace(s, student=replace(s.student, trigram=False)),
            "embeddings are copied from the teacher: trigram must be equal, got False (student) and True (teacher); "
            "set copied='nothing'",
        ),
        (
            lambda s: replace(
                s, student=replace(s.student, num_heads=4), recipe=with_transfer(s.recipe, average_heads=False)
            ),
            "attention transfer per head needs equal head counts, got 4 (student) and 2 (teacher); set "
            "average_heads=True in every arm",
        ),
        (
            lambda s: replace(s, recipe=with_transfer(s.recipe, steps=7)),
            "knowledge-transfer steps must be a multiple of the number of blocks, got 7 steps for 2 blocks",
        ),
    ],
)
def test_a_trial_that_cannot_be_says_why(make_spec: Any, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        change(make_spec(with_teacher=True))


def with_transfer(recipe: Any, **fields: Any) -> Any:
    return replace(recipe, knowledge_transfer=replace(recipe.knowledge_transfer, **fields))


def test_head_counts_may_differ_where_heads_are_averaged(make_spec: Any) -> None:
    assert make_spec(with_teacher=True, num_heads=4).student.num_heads == 4


def test_planned_updates_count_every_task(make_spec: Any) -> None:
    assert planned_updates(make_spec()) == 7 + 2 * 5
    assert planned_updates(make_spec(with_teacher=True)) == 6 + 8 + 2 * 5


def test_changes_are_the_fields_that_differ_with_both_values(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    other = replace(
        spec, student=replace(spec.student, norm="no_norm", bottleneck_size=4), recipe=replace(spec.recipe, pooler=True)
    )
    assert changes(spec, other) == (
        Change("student.bottleneck_size", 8, 4),
        Change("student.norm", "layer_norm", "no_norm"),
        Change("recipe.pooler", False, True),
    )
    assert changes(spec, spec) == ()


def test_a_part_that_one_of_them_lacks_is_one_change(make_spec: Any) -> None:
    bare = replace(make_spec(with_teacher=True), teacher=None, recipe=make_spec().recipe)
    found = {change.field: change for change in changes(bare, make_spec(with_teacher=True))}
    assert set(found) == {
        "recipe.knowledge_transfer",
        "recipe.pre_training.steps",
        "recipe.pre_training.teacher_share",
        "teacher",
    }
    assert found["teacher"].before is None
