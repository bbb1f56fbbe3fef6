"""Losses on a task's logits against slow references in float64, torch's functions, numbers by hand, and gradcheck."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search.distillation.logits import (
    ensemble_log_probabilities,
    logit_regression_loss,
    multi_task_distillation_loss,
    soft_label_loss,
    soft_logits_loss,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(row: list[float], temperature: float = 1.0) -> list[float]:
    exponentials = [math.exp(value / temperature) for value in row]
    return [value / sum(exponentials) for value in exponentials]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 10.0])
def test_soft_logits_are_a_slow_reference(temperature: float) -> None:
    student, teacher = random(5, 3) * 3, random(5, 3, seed=1) * 3
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = softmax(t, temperature), softmax(s, temperature)
        total += sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    expected = temperature**2 * total / 5
    assert soft_logits_loss(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-12)


def test_soft_logits_of_a_small_case_are_the_number_computed_by_hand() -> None:
    # at T = 2 the teacher is (3/4, 1/4) and the student (1/2, 1/2)
    teacher, student = torch.tensor([[2 * math.log(3.0), 0.0]]), torch.zeros(1, 2)
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert soft_logits_loss(student, teacher, 2.0).item() == pytest.approx(expected)


def test_the_size_of_the_gradient_of_soft_logits_hardly_depends_on_a_high_temperature() -> None:
    """T^2 makes up for the 1 / T^2 of the softened gradient: in the limit it is the gradient of half the squared
    difference of centred logits, over the number of classes."""
    student, teacher = random(4, 3).requires_grad_(), random(4, 3, seed=1)
    gradients = [torch.autograd.grad(soft_logits_loss(student, teacher, T), student)[0] for T in (1e4, 1e5)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-2, atol=1e-6)
    centred = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    torch.testing.assert_close(gradients[1], centred.detach() / 3 / 4, rtol=1e-2, atol=1e-5)


def test_logits_as_a_regression_are_a_slow_reference_and_the_number_computed_by_hand() -> None:
    student, teacher = random(5, 3), random(5, 3, seed=1)
    squares = [
        (a - b) ** 2 for s, t in zip(student.tolist(), teacher.tolist(), strict=True) for a, b in zip(s, t, strict=True)
    ]
    assert logit_regression_loss(student, teacher).item() == pytest.approx(sum(squares) / 15, rel=1e-12)
    by_hand = logit_regression_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, -1.0]]))
    assert by_hand.item() == 5.0


def test_soft_labels_are_a_slow_reference_and_hard_labels_torchs_cross_entropy() -> None:
    student, probabilities = random(5, 3), random(5, 3, seed=1).softmax(-1)
    expected = 0.0
    for s, p in zip(student.tolist(), probabilities.tolist(), strict=True):
        expected -= sum(a * math.log(b) for a, b in zip(p, softmax(s), strict=True)) / 5
    assert soft_label_loss(student, probabilities).item() == pytest.approx(expected, rel=1e-12)
    labels = torch.tensor([0, 2, 1, 1, 0])
    torch.testing.assert_close(
        soft_label_loss(student, F.one_hot(labels, 3).double()), F.cross_entropy(student, labels), rtol=1e-12, atol=0
    )


def test_an_ensembles_probabilities_are_the_mean_of_its_teachers() -> None:
    teachers = random(3, 5, 4)
    expected = torch.stack([logits.softmax(-1) for logits in teachers]).mean(0)
    torch.testing.assert_close(ensemble_log_probabilities(teachers).exp(), expected, rtol=1e-12, atol=0)
    # one teacher is itself, whatever the temperature that follows
    student = random(5, 4, seed=1)
    alone = soft_logits_loss(student, ensemble_log_probabilities(teachers[:1]), 3.0)
    torch.testing.assert_close(alone, soft_logits_loss(student, teachers[0], 3.0), rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match=r"^an ensemble needs at least 1 teacher, got 0$"):
        ensemble_log_probabilities(teachers[:0])


def test_an_ensemble_keeps_probabilities_too_small_for_their_type() -> None:
    sure = torch.tensor([[[500.0, 0.0]], [[500.0, 0.0]]])
    assert ensemble_log_probabilities(sure)[0, 1].item() == pytest.approx(-500.0)


def test_a_multi_task_loss_mixes_labels_and_ensemble_and_of_a_small_case_is_the_number_computed_by_hand() -> None:
    student, probabilities, labels = random(5, 3), random(5, 3, seed=1).softmax(-1), torch.tensor([0, 2, 1, 1, 0])
    hard = F.cross_entropy(student, labels)
    for share in (0.0, 0.3, 1.0):
        expected = (1 - share) * hard + share * soft_label_loss(student, probabilities)
        found = multi_task_distillation_loss(student, hard, probabilities, share)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    # student (1/4, 3/4); label 0; the teachers' mean (1/2, 1/2)
    small = torch.tensor([[0.0, math.log(3.0)]])
    by_hand = -0.5 * math.log(0.25) - 0.5 * (math.log(0.25) + math.log(0.75)) / 2
    hard = F.cross_entropy(small, torch.tensor([0]))
    found = multi_task_distillation_loss(small, hard, torch.full((1, 2), 0.5), 0.5)
    assert found.item() == pytest.approx(by_hand)


def test_the_gradients_of_losses_on_logits_pass_gradcheck_and_none_reaches_the_teacher() -> None:
    student, teacher = random(4, 3).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    probabilities = random(4, 3, seed=2).softmax(-1).requires_grad_()
    losses = (
        lambda s: soft_logits_loss(s, teacher, 2.5),
        lambda s: logit_regression_loss(s, teacher),
        lambda s: soft_label_loss(s, probabilities),
        lambda s: multi_task_distillation_loss(s, s.square().mean(), probabilities, 0.4),
    )
    for loss in losses:
        assert torch.autograd.gradcheck(loss, (student,))
        loss(student).backward()
    assert teacher.grad is None and probabilities.grad is None
    assert not ensemble_log_probabilities(random(2, 3, 4).requires_grad_()).requires_grad


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"^the temperature of soft logits must be above 0, got "):
        soft_logits_loss(random(2, 3), random(2, 3), temperature)


def test_a_teachers_share_outside_zero_and_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^teacher_share must be from 0 to 1, got 1\.1$"):
        multi_task_distillation_loss(random(2, 3), random(1).sum(), random(2, 3).softmax(-1), 1.1)
