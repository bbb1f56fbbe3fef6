"""The losses against hand-computed numbers, torch's own functions in float64, gradcheck, and padding."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search.distillation.losses import (
    attention_transfer_cross_entropy,
    attention_transfer_loss,
    feature_map_loss,
    feature_map_loss_normalised,
    masked_language_distillation_loss,
)

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_plain_feature_map_loss_of_a_small_case_is_the_number_computed_by_hand() -> None:
    student = torch.tensor([[[1.0, 2.0], [0.0, -1.0]]])
    teacher = torch.tensor([[[0.0, 4.0], [3.0, -1.0]]])
    # token 0: (1 + 4) / 2 = 2.5; token 1: (9 + 0) / 2 = 4.5
    assert feature_map_loss(student, teacher, torch.tensor([[True, True]])).item() == 3.5
    assert feature_map_loss(student, teacher, torch.tensor([[True, False]])).item() == 2.5


def test_the_plain_feature_map_loss_is_torchs_mse_over_the_real_tokens() -> None:
    student, teacher = random(2, 4, 6), random(2, 4, 6, seed=1)
    expected = F.mse_loss(student[MASK], teacher[MASK])
    torch.testing.assert_close(feature_map_loss(student, teacher, MASK), expected, rtol=1e-12, atol=0)


def test_each_term_of_the_normalised_loss_of_a_small_case_is_the_number_computed_by_hand() -> None:
    # student: mean 2, variance 1, normalised (-1, 1); teacher: mean 1, variance 4, normalised (1, -1)
    student, teacher = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[3.0, -1.0]]])
    mask = torch.tensor([[True]])

    def term(normalised: float, mean: float, variance: float) -> float:
        factors = {"normalised_factor": normalised, "mean_factor": mean, "variance_factor": variance}
        return feature_map_loss_normalised(student, teacher, mask, **factors).item()

    assert term(1.0, 0.0, 0.0) == pytest.approx(4.0)
    assert term(0.0, 1.0, 0.0) == pytest.approx(1.0)
    assert term(0.0, 0.0, 1.0) == pytest.approx(3.0)
    assert feature_map_loss_normalised(student, teacher, mask).item() == pytest.approx(400 + 5000 + 15)


def test_the_normalised_loss_is_made_of_torchs_layer_norm_mse_and_l1() -> None:
    student, teacher = random(2, 4, 6) * 3 + 1, random(2, 4, 6, seed=1)
    s, t = student[MASK], teacher[MASK]
    expected = 100 * F.mse_loss(F.layer_norm(s, (6,), eps=1e-12), F.layer_norm(t, (6,), eps=1e-12))
    expected = expected + 5000 * F.mse_loss(s.mean(-1), t.mean(-1))
    expected = expected + 5 * F.l1_loss(s.var(-1, correction=0), t.var(-1, correction=0))
    torch.testing.assert_close(feature_map_loss_normalised(student, teacher, MASK), expected, rtol=1e-12, atol=0)


def test_a_perfect_copy_has_no_transfer_loss() -> None:
    maps, scores = random(2, 4, 6), random(2, 3, 4, 4)
    assert feature_map_loss(maps, maps, MASK).item() == 0
    assert feature_map_loss_normalised(maps, maps, MASK).item() == 0
    assert attention_transfer_loss(scores, scores, MASK, average_heads=False).item() == 0
    assert attention_transfer_loss(scores, scores, MASK, average_heads=True).item() == 0


def test_the_attention_loss_of_a_small_case_is_the_number_computed_by_hand() -> None:
    # teacher rows (3/4, 1/4) and (1/2, 1/2); student rows (1/2, 1/2) twice
    teacher = torch.tensor([[[[math.log(3.0), 0.0], [0.0, 0.0]]]])
    student = torch.zeros(1, 1, 2, 2)
    row = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    mask = torch.tensor([[True, True]])
    assert attention_transfer_loss(student, teacher, mask, average_heads=False).item() == pytest.approx(row / 2)


def test_averaging_heads_averages_probabilities_before_the_divergence() -> None:
    # teacher heads (3/4, 1/4) and (1/4, 3/4): the mean is uniform, as is the student's single head
    teacher = torch.tensor([[[[math.log(3.0), 0.0]] * 2, [[0.0, math.log(3.0)]] * 2]])
    student = torch.zeros(1, 1, 2, 2)
    mask = torch.tensor([[True, True]])
    assert attention_transfer_loss(student, teacher, mask, average_heads=True).item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("average_heads", [False, True])
def test_the_attention_loss_is_torchs_kl_div_row_by_row(average_heads: bool) -> None:
    student, teacher = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    rows = []
    for b in range(2):
        n = int(MASK[b].sum())
        p, q = teacher[b, :, :n, :n].softmax(-1), student[b, :, :n, :n].softmax(-1)
        if average_heads:
            p, q = p.mean(0, keepdim=True), q.mean(0, keepdim=True)
        rows += [F.kl_div(q[a, i].log(), p[a, i], reduction="sum") for a in range(len(p)) for i in range(n)]
    loss = attention_transfer_loss(student, teacher, MASK, average_heads=average_heads)
    torch.testing.assert_close(loss, torch.stack(rows).mean(), rtol=1e-12, atol=1e-15)


def test_the_gradient_of_the_attention_loss_is_student_minus_teacher_probabilities() -> None:
    student, teacher = random(1, 2, 4, 4).requires_grad_(), random(1, 2, 4, 4, seed=1)
    attention_transfer_loss(student, teacher, torch.ones(1, 4, dtype=torch.bool), average_heads=False).backward()
    assert student.grad is not None
    torch.testing.assert_close(student.grad, (student.detach().softmax(-1) - teacher.softmax(-1)) / 8)


def test_different_head_counts_are_refused_unless_heads_are_averaged() -> None:
    student, teacher = random(2, 1, 4, 4), random(2, 3, 4, 4)
    with pytest.raises(
        ValueError, match=r"equal head counts, got 1 \(student\) and 3 \(teacher\); set average_heads=True"
    ):
        attention_transfer_loss(student, teacher, MASK, average_heads=False)
    assert attention_transfer_loss(student, teacher, MASK, average_heads=True).isfinite()


@pytest.mark.parametrize("average_heads", [False, True])
def test_minus_infinity_at_padded_keys_and_huge_scores_give_finite_loss_and_gradient(average_heads: bool) -> None:
    padded = ~MASK[:, None, None, :]
    student = (random(2, 3, 4, 4) * 1e4).float().masked_fill(padded, -math.inf).requires_grad_()
    teacher = (random(2, 3, 4, 4, seed=1) * 1e4).float().masked_fill(padded, -math.inf)
    loss = attention_transfer_loss(student, teacher, MASK, average_heads=average_heads)
    loss.backward()
    assert student.grad is not None
    assert loss.isfinite() and student.grad.isfinite().all()


def test_what_stands_in_the_padding_changes_no_loss_and_gets_no_gradient() -> None:
    student, teacher = random(2, 4, 6), random(2, 4, 6, seed=1)
    other_student = torch.where(MASK[:, :, None], student, 99.0).requires_grad_()
    other_teacher = torch.where(MASK[:, :, None], teacher, -77.0)
    for loss in (feature_map_loss, feature_map_loss_normalised):
        result = loss(other_student, other_teacher, MASK)
        assert result.item() == loss(student, teacher, MASK).item()
        (gradient,) = torch.autograd.grad(result, other_student)
        assert (gradient[~MASK] == 0).all()


@pytest.mark.parametrize("average_heads", [False, True])
def test_padded_queries_and_keys_change_no_attention_loss_and_get_no_gradient(average_heads: bool) -> None:
    student, teacher = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    real = MASK[:, None, :, None] & MASK[:, None, None, :]
    other_student = torch.where(real, student, 5.0).requires_grad_()
    result = attention_transfer_loss(other_student, torch.where(real, teacher, -7.0), MASK, average_heads=average_heads)
    expected = attention_transfer_loss(student, teacher, MASK, average_heads=average_heads)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(result, other_student)
    assert (gradient[~real.expand_as(gradient)] == 0).all()


def test_more_padding_changes_no_loss() -> None:
    student, teacher = random(2, 4, 6), random(2, 4, 6, seed=1)
    longer = F.pad(MASK, (0, 3))
    for loss in (feature_map_loss, feature_map_loss_normalised):
        padded = loss(F.pad(student, (0, 0, 0, 3)), F.pad(teacher, (0, 0, 0, 3)), longer)
        torch.testing.assert_close(padded, loss(student, teacher, MASK), rtol=1e-12, atol=0)
    scores, copied = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    padded = attention_transfer_loss(
        F.pad(scores, (0, 3, 0, 3)), F.pad(copied, (0, 3, 0, 3)), longer, average_heads=False
    )
    torch.testing.assert_close(padded, attention_transfer_loss(scores, copied, MASK, average_heads=False))


def test_the_masked_language_loss_of_a_small_case_is_the_number_computed_by_hand() -> None:
    # student (1/4, 3/4), teacher (1/2, 1/2), label 0, alpha 0.4: target (0.4 + 0.3, 0.3)
    student, teacher = torch.tensor([[0.0, math.log(3.0)]]), torch.zeros(1, 2)
    expected = -(0.7 * math.log(0.25) + 0.3 * math.log(0.75))
    loss = masked_language_distillation_loss(student, teacher, torch.tensor([0]), 0.4)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_masked_language_loss_mixes_torchs_two_cross_entropies(alpha: float) -> None:
    student, teacher, labels = random(5, 7), random(5, 7, seed=1) * 3, torch.tensor([0, 6, 3, 3, 1])
    hard, soft = F.cross_entropy(student, labels), F.cross_entropy(student, teacher.softmax(-1))
    loss = masked_language_distillation_loss(student, teacher, labels, alpha)
    torch.testing.assert_close(loss, alpha * hard + (1 - alpha) * soft, rtol=1e-12, atol=0)


@pytest.mark.parametrize("alpha", [-0.1, 1.5, math.nan])
def test_a_share_of_labels_outside_zero_to_one_is_refused(alpha: float) -> None:
    logits = random(2, 3)
    with pytest.raises(ValueError, match="alpha, the share of the labels, must be from 0 to 1, got "):
        masked_language_distillation_loss(logits, logits, torch.tensor([0, 1]), alpha)


def test_all_gradients_pass_gradcheck() -> None:
    maps, scores, logits = random(2, 4, 3), random(2, 2, 4, 4), random(3, 5)
    teacher_maps, teacher_scores, teacher_logits = (
        random(2, 4, 3, seed=1),
        random(2, 2, 4, 4, seed=1),
        random(3, 5, seed=1),
    )
    labels = torch.tensor([1, 4, 0])
    cases = [
        (lambda x: feature_map_loss(x, teacher_maps, MASK), maps),
        (lambda x: feature_map_loss_normalised(x, teacher_maps, MASK), maps),
        (lambda x: attention_transfer_loss(x, teacher_scores, MASK, average_heads=False), scores),
        (lambda x: attention_transfer_loss(x, teacher_scores, MASK, average_heads=True), scores),
        (lambda x: masked_language_distillation_loss(x, teacher_logits, labels, 0.5), logits),
    ]
    for loss, student in cases:
        assert torch.autograd.gradcheck(loss, (student.requires_grad_(),))


def test_the_teacher_is_a_constant() -> None:
    maps, scores, logits = random(2, 4, 3), random(2, 2, 4, 4), random(3, 5)
    teachers = [random(*x.shape, seed=1).requires_grad_() for x in (maps, scores, logits)]
    total = feature_map_loss(maps.requires_grad_(), teachers[0], MASK)
    total = total + feature_map_loss_normalised(maps, teachers[0], MASK)
    total = total + attention_transfer_loss(scores.requires_grad_(), teachers[1], MASK, average_heads=False)
    total = total + masked_language_distillation_loss(
        logits.requires_grad_(), teachers[2], torch.tensor([0, 1, 2]), 0.5
    )
    total.backward()
    assert all(teacher.grad is None for teacher in teachers)


# The released form of attention transfer


@pytest.mark.parametrize("average_heads", [False, True])
def test_the_cross_entropy_of_attention_is_a_slow_reference(average_heads: bool) -> None:
    student, teacher = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    rows = []
    for b in range(2):
        n = int(MASK[b].sum())
        p, q = teacher[b, :, :n, :n].softmax(-1), student[b, :, :n, :n].softmax(-1)
        if average_heads:
            p, q = p.mean(0, keepdim=True), q.mean(0, keepdim=True)
        rows += [-sum(p[a, i] * q[a, i].log()) for a in range(len(p)) for i in range(n)]
    found = attention_transfer_cross_entropy(student, teacher, MASK, average_heads=average_heads)
    torch.testing.assert_close(found, torch.stack(rows).mean(), rtol=1e-12, atol=0)


def test_the_cross_entropy_of_attention_is_torchs_where_nothing_is_padded() -> None:
    student, teacher = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    expected = F.cross_entropy(student.flatten(0, 2), teacher.softmax(-1).flatten(0, 2))
    mask = torch.ones(2, 4, dtype=torch.bool)
    found = attention_transfer_cross_entropy(student, teacher, mask, average_heads=False)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_the_cross_entropy_of_a_small_case_is_the_number_computed_by_hand() -> None:
    # teacher rows (3/4, 1/4) and (1/2, 1/2); student rows (1/2, 1/2) twice: log 2 in both
    teacher = torch.tensor([[[[math.log(3.0), 0.0], [0.0, 0.0]]]])
    mask = torch.tensor([[True, True]])
    found = attention_transfer_cross_entropy(torch.zeros(1, 1, 2, 2), teacher, mask, average_heads=False)
    assert found.item() == pytest.approx(math.log(2.0))


@pytest.mark.parametrize("average_heads", [False, True])
def test_both_forms_of_attention_transfer_have_the_same_gradient(average_heads: bool) -> None:
    student, teacher = random(2, 3, 4, 4).requires_grad_(), random(2, 3, 4, 4, seed=1).requires_grad_()
    gradients = [
        torch.autograd.grad(loss(student, teacher, MASK, average_heads=average_heads), student)[0]
        for loss in (attention_transfer_loss, attention_transfer_cross_entropy)
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-15)
    assert torch.autograd.gradcheck(
        lambda s: attention_transfer_cross_entropy(s, teacher, MASK, average_heads=average_heads), (student,)
    )


def test_the_cross_entropy_form_refuses_different_head_counts_too() -> None:
    with pytest.raises(ValueError, match=r"equal head counts, got 1 \(student\) and 3 \(teacher\)"):
        attention_transfer_cross_entropy(random(2, 1, 4, 4), random(2, 3, 4, 4), MASK, average_heads=False)
