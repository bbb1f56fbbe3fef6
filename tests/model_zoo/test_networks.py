"""What a student takes over from its teacher at the start, and what it does not."""

from typing import Any

import pytest
import torch
from torch import Tensor

from model_zoo.networks import PreTrainingNetwork, copy_from_teacher


def pair(small: Any, student_pooler: bool = False, teacher_pooler: bool = False, **fields: Any) -> Any:
    """Student and teacher with different random weights, and the student's before the copy."""
    torch.manual_seed(0)
    teacher = PreTrainingNetwork(small(bottleneck_size=32, num_feed_forward=1), pooler=teacher_pooler)
    student = PreTrainingNetwork(small(**fields), pooler=student_pooler)
    with torch.no_grad():
        for parameter in (*teacher.parameters(), *student.parameters()):
            parameter.add_(torch.randn_like(parameter))
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    return student, teacher, before


def names(state: dict[str, Tensor], prefix: str) -> set[str]:
    return {name for name in state if name.startswith(prefix)}


@pytest.mark.parametrize("norm", ["layer_norm", "no_norm"])
def test_everything_but_blocks_and_a_foreign_norm_is_copied_bit_for_bit(small: Any, norm: str) -> None:
    student, teacher, before = pair(small, norm=norm)
    copied = copy_from_teacher(student, teacher)
    after, source = student.state_dict(), teacher.state_dict()
    kept = names(after, "encoder.blocks.")
    if norm == "no_norm":
        kept |= {"encoder.embedding.norm.weight", "encoder.embedding.norm.bias"}
    assert set(copied) == set(after) - kept
    for name in kept:
        assert torch.equal(after[name], before[name]), name
    for name in copied:
        assert torch.equal(after[name], source[name]), name
        assert not torch.equal(after[name], before[name]), name
        assert after[name].data_ptr() != source[name].data_ptr()


def test_the_copied_parts_are_embeddings_and_both_heads(small: Any) -> None:
    student, teacher, _ = pair(small)
    assert {name.rsplit(".", 1)[0] for name in copy_from_teacher(student, teacher)} == {
        "encoder.embedding.tokens",
        "encoder.embedding.positions",
        "encoder.embedding.token_types",
        "encoder.embedding.projection",
        "encoder.embedding.norm",
        "masked_language",
        "masked_language.dense",
        "masked_language.norm",
        "next_sentence.dense",
    }


def test_the_teacher_does_not_change(small: Any) -> None:
    student, teacher, _ = pair(small)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    copy_from_teacher(student, teacher)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


@pytest.mark.parametrize(("of_student", "of_teacher"), [(True, False), (False, True)])
def test_a_pooler_that_one_of_them_lacks_is_left_out(small: Any, of_student: bool, of_teacher: bool) -> None:
    student, teacher, _ = pair(small, student_pooler=of_student, teacher_pooler=of_teacher)
    assert not any("pooler" in name for name in copy_from_teacher(student, teacher))


def test_a_pooler_that_both_have_is_copied(small: Any) -> None:
    student, teacher, _ = pair(small, student_pooler=True, teacher_pooler=True)
    assert "next_sentence.pooler.weight" in copy_from_teacher(student, teacher)
