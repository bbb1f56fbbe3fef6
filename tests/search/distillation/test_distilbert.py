"""DistilBERT's triple loss, term by term: slow references in float64, torch, numbers by hand, gradcheck, padding."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search.distillation.distilbert import TripleTerms, cosine_loss, triple_loss, triple_terms

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])
IS_MASKED = torch.tensor([False, True, False, True, False])
LABELS = torch.tensor([2, 6])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_cosine_loss_is_a_slow_reference_and_torchs_embedding_loss() -> None:
    student, teacher = random(2, 4, 3), random(2, 4, 3, seed=1)
    values = []
    for b, t in MASK.nonzero().tolist():
        h, g = student[b, t].tolist(), teacher[b, t].tolist()
        product = sum(x * y for x, y in zip(h, g, strict=True))
        values.append(1 - product / (math.hypot(*h) * math.hypot(*g)))
    found = cosine_loss(student, teacher, MASK)
    assert found.item() == pytest.approx(sum(values) / 5, rel=1e-12)
    expected = F.cosine_embedding_loss(student[MASK], teacher[MASK], torch.ones(5))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


def test_the_cosine_loss_of_a_small_case_is_the_number_computed_by_hand() -> None:
    # (3, 4) and (4, 3): cos = 24 / 25
    student, teacher = torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[4.0, 3.0]]])
    assert cosine_loss(student, teacher, torch.tensor([[True]])).item() == pytest.approx(1 / 25, abs=1e-7)


def terms(logits: Tensor, teacher_logits: Tensor, maps: Tensor, teacher_maps: Tensor) -> TripleTerms:
    return triple_terms(logits, teacher_logits, IS_MASKED, LABELS, maps, teacher_maps, MASK, temperature=2.0)


def test_the_three_terms_are_torchs_kl_div_cross_entropy_and_cosine() -> None:
    logits, teacher_logits = random(5, 7), random(5, 7, seed=1)
    maps, teacher_maps = random(2, 4, 3), random(2, 4, 3, seed=1)
    found = terms(logits, teacher_logits, maps, teacher_maps)
    kl = F.kl_div((logits / 2).log_softmax(-1), (teacher_logits / 2).softmax(-1), reduction="batchmean") * 4
    torch.testing.assert_close(found.distillation, kl, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.language, F.cross_entropy(logits[[1, 3]], LABELS), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.cosine, cosine_loss(maps, teacher_maps, MASK), rtol=1e-12, atol=0)
    total = 5 * found.distillation + 2 * found.language + found.cosine
    torch.testing.assert_close(triple_loss(found), total, rtol=1e-12, atol=0)


def test_the_gradients_of_the_triple_loss_pass_gradcheck_and_none_reaches_the_teacher() -> None:
    logits, maps = random(5, 7).requires_grad_(), random(2, 4, 3).requires_grad_()
    teacher_logits, teacher_maps = random(5, 7, seed=1).requires_grad_(), random(2, 4, 3, seed=1).requires_grad_()

    def loss(logits: Tensor, maps: Tensor) -> Tensor:
        return triple_loss(terms(logits, teacher_logits, maps, teacher_maps))

    assert torch.autograd.gradcheck(loss, (logits, maps))
    loss(logits, maps).backward()
    assert teacher_logits.grad is None and teacher_maps.grad is None


def test_padding_changes_no_cosine_loss_and_gets_no_gradient() -> None:
    student, teacher = random(2, 4, 3), random(2, 4, 3, seed=1)
    other = torch.where(MASK[:, :, None], student, 0.0).requires_grad_()
    loss = cosine_loss(other, teacher, MASK)
    assert loss.item() == cosine_loss(student, teacher, MASK).item()
    loss.backward()
    assert other.grad is not None and (other.grad[~MASK] == 0).all()
