"""Patient knowledge distillation against a slow reference in float64, torch, a number by hand, and gradcheck."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search.distillation.patient import patient_loss


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_patient_states_are_a_slow_reference() -> None:
    student, teacher = random(2, 3, 4), random(2, 3, 4, seed=1)
    squares = []
    for layer in range(2):
        for row in range(3):
            h, g = student[layer, row].tolist(), teacher[layer, row].tolist()
            h_norm, g_norm = math.hypot(*h), math.hypot(*g)
            squares += [(a / h_norm - b / g_norm) ** 2 for a, b in zip(h, g, strict=True)]
    assert patient_loss(student, teacher).item() == pytest.approx(sum(squares) / 24, rel=1e-12)


def test_patient_states_of_a_small_case_are_the_number_computed_by_hand() -> None:
    # (3, 4) / 5 = (0.6, 0.8) beside (1, 0): (0.16 + 0.64) / 2
    assert patient_loss(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[7.0, 0.0]]])).item() == pytest.approx(0.4)


def test_patient_states_are_what_torchs_cosine_similarity_says() -> None:
    """|u - v|^2 = 2 - 2 cos, over the number of channels."""
    student, teacher = random(2, 3, 4), random(2, 3, 4, seed=1)
    expected = ((2 - 2 * F.cosine_similarity(student, teacher, dim=-1)) / 4).mean()
    torch.testing.assert_close(patient_loss(student, teacher), expected, rtol=1e-12, atol=0)


def test_the_length_of_a_state_does_not_matter() -> None:
    student, teacher = random(2, 3, 4), random(2, 3, 4, seed=1)
    torch.testing.assert_close(patient_loss(3 * student, 0.1 * teacher), patient_loss(student, teacher))
    assert patient_loss(5 * teacher, teacher).item() == pytest.approx(0.0, abs=1e-30)


def test_the_gradient_of_patient_states_passes_gradcheck_and_none_reaches_the_teacher() -> None:
    student, teacher = random(2, 3, 4).requires_grad_(), random(2, 3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: patient_loss(s, teacher), (student,))
    patient_loss(student, teacher).backward()
    assert teacher.grad is None


def test_a_state_of_zeros_gives_a_finite_loss_and_gradient() -> None:
    student = torch.zeros(1, 1, 4, requires_grad=True)
    loss = patient_loss(student, torch.ones(1, 1, 4))
    loss.backward()
    assert loss.isfinite() and student.grad is not None and student.grad.isfinite().all()
