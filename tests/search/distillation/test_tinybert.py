"""TinyBERT's objectives against slow references in float64, torch, numbers by hand, gradcheck, and padding."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search.distillation.tinybert import attention_score_loss, prediction_loss, projected_map_loss

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_projected_maps_are_a_slow_reference_and_torchs_linear_and_mse() -> None:
    student, teacher = random(2, 4, 3), random(2, 4, 5, seed=1)
    weight, bias = random(5, 3, seed=2), random(5, seed=3)
    squares = []
    for b, t in MASK.nonzero().tolist():
        for wide in range(5):
            projected = sum(weight[wide, n].item() * student[b, t, n].item() for n in range(3)) + bias[wide].item()
            squares.append((projected - teacher[b, t, wide].item()) ** 2)
    found = projected_map_loss(student, teacher, MASK, weight, bias)
    assert found.item() == pytest.approx(sum(squares) / len(squares), rel=1e-12)
    expected = F.mse_loss(F.linear(student[MASK], weight, bias), teacher[MASK])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_projected_maps_of_a_small_case_are_the_number_computed_by_hand() -> None:
    # 2 * (1, -1) + (0, 1) = (2, -1) beside (1, 1): (1 + 4) / 2
    weight, bias = torch.tensor([[1.0], [-1.0]]), torch.tensor([0.0, 1.0])
    student, teacher = torch.tensor([[[2.0]]]), torch.tensor([[[1.0, 1.0]]])
    assert projected_map_loss(student, teacher, torch.tensor([[True]]), weight, bias).item() == 2.5


def test_attention_scores_are_a_slow_reference_and_torchs_mse_without_padding() -> None:
    student, teacher = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    squares = [
        (student[b, a, i, j].item() - teacher[b, a, i, j].item()) ** 2
        for b in range(2)
        for a in range(3)
        for i in range(int(MASK[b].sum()))
        for j in range(int(MASK[b].sum()))
    ]
    found = attention_score_loss(student, teacher, MASK)
    assert found.item() == pytest.approx(sum(squares) / len(squares), rel=1e-12)
    everything = torch.ones(2, 4, dtype=torch.bool)
    expected = F.mse_loss(student, teacher)
    torch.testing.assert_close(attention_score_loss(student, teacher, everything), expected, rtol=1e-12, atol=0)


def test_a_score_at_or_below_minus_a_hundred_counts_as_zero() -> None:
    # student (1, -100 -> 0), teacher (-10000 -> 0, 3): (1 + 9) / 2
    student, teacher = torch.tensor([[[[1.0, -100.0]] * 2]]), torch.tensor([[[[-10000.0, 3.0]] * 2]])
    assert attention_score_loss(student, teacher, torch.tensor([[True, True]])).item() == 5.0
    nearly = torch.tensor([[[[1.0, -99.0]] * 2]])
    assert attention_score_loss(nearly, teacher, torch.tensor([[True, True]])).item() == (1 + 102**2) / 2


def test_predictions_are_a_slow_reference_and_torchs_cross_entropy_over_the_classes() -> None:
    student, teacher = random(5, 3), random(5, 3, seed=1)
    for temperature in (1.0, 2.0):
        p, q = (teacher / temperature).softmax(-1), (student / temperature).softmax(-1)
        total = -sum(p[i, c].item() * math.log(q[i, c].item()) for i in range(5) for c in range(3))
        found = prediction_loss(student, teacher, temperature)
        assert found.item() == pytest.approx(total / 15, rel=1e-12)
        torch.testing.assert_close(found, F.cross_entropy(student / temperature, p) / 3, rtol=1e-12, atol=0)


def test_predictions_of_a_small_case_are_the_number_computed_by_hand() -> None:
    # teacher (3/4, 1/4), student (1/4, 3/4), over two classes
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.0, math.log(3.0)]])
    expected = -(0.75 * math.log(0.25) + 0.25 * math.log(0.75)) / 2
    assert prediction_loss(student, teacher, 1.0).item() == pytest.approx(expected)


def test_the_gradients_of_tinyberts_losses_pass_gradcheck_and_none_reaches_the_teacher() -> None:
    maps, scores, logits = random(2, 4, 3).requires_grad_(), random(2, 3, 4, 4).requires_grad_(), random(4, 3)
    weight, bias = random(5, 3, seed=2).requires_grad_(), random(5, seed=3).requires_grad_()
    wide, other = random(2, 4, 5, seed=4).requires_grad_(), random(2, 3, 4, 4, seed=5).requires_grad_()
    target = random(4, 3, seed=6).requires_grad_()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda m, w, b: projected_map_loss(m, wide, MASK, w, b), (maps, weight, bias))
    assert torch.autograd.gradcheck(lambda s: attention_score_loss(s, other, MASK), (scores,))
    assert torch.autograd.gradcheck(lambda s: prediction_loss(s, target, 1.5), (logits,))
    total = projected_map_loss(maps, wide, MASK, weight, bias) + attention_score_loss(scores, other, MASK)
    (total + prediction_loss(logits, target, 1.0)).backward()
    assert wide.grad is None and other.grad is None and target.grad is None


def test_what_stands_in_the_padding_changes_nothing_and_gets_no_gradient() -> None:
    student, teacher = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    real = MASK[:, None, :, None] & MASK[:, None, None, :]
    other = torch.where(real, student, math.inf).requires_grad_()
    found = attention_score_loss(other, torch.where(real, teacher, -7.0), MASK)
    assert found.item() == attention_score_loss(student, teacher, MASK).item()
    found = attention_score_loss(torch.where(real, student, 9.0).requires_grad_(), teacher, MASK)
    assert found.item() == attention_score_loss(student, teacher, MASK).item()


def test_different_head_counts_and_a_temperature_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^attention scores are compared head by head, got 1 \(student\) and 3 "):
        attention_score_loss(random(2, 1, 4, 4), random(2, 3, 4, 4), MASK)
    with pytest.raises(ValueError, match=r"^the temperature of the prediction loss must be above 0, got 0\.0$"):
        prediction_loss(random(2, 3), random(2, 3), 0.0)
