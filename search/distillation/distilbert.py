"""DistilBERT's triple loss for pre-training: softened logits, labels, and the direction of hidden states."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from search.distillation.logits import soft_logits_loss


class TripleTerms(NamedTuple):
    """The three terms before they are weighed."""

    distillation: Float[Tensor, ""]
    language: Float[Tensor, ""]
    cosine: Float[Tensor, ""]


def cosine_loss(
    student: Float[Tensor, "batch seq width"],
    teacher: Float[Tensor, "batch seq width"],
    mask: Bool[Tensor, "batch seq"],
) -> Float[Tensor, ""]:
    """How far the student's hidden states point from the teacher's: mean over real tokens of 1 - cos(student, teacher).

    Args:
        student: last feature map of the student.
        teacher: last feature map of the teacher, equally wide.
        mask: True at real tokens.

    Source: Sanh et al. 2019, "DistilBERT" (arXiv 1910.01108), section 3; huggingface/transformers-research-projects,
    distillation.

    >>> student, teacher = torch.tensor([[[1.0, 0.0], [7.0, 7.0]]]), torch.tensor([[[0.0, 3.0], [1.0, 2.0]]])
    >>> cosine_loss(student, teacher, torch.tensor([[True, False]])).item()
    1.0
    """
    per_token = 1.0 - F.cosine_similarity(student, teacher.detach(), dim=-1)
    return torch.where(mask, per_token, 0.0).sum() / mask.sum()


def triple_terms(
    student_logits: Float[Tensor, "tokens vocab"],
    teacher_logits: Float[Tensor, "tokens vocab"],
    is_masked: Bool[Tensor, " tokens"],
    labels: Int[Tensor, " masked"],
    student_map: Float[Tensor, "batch seq width"],
    teacher_map: Float[Tensor, "batch seq width"],
    mask: Bool[Tensor, "batch seq"],
    *,
    temperature: float,
) -> TripleTerms:
    """Softened logits at all real tokens, labels at the masked ones, cosine of the last feature maps.

    distillation = T^2 KL(teacher || student) over the real tokens; language = cross-entropy with the labels over the
    masked ones; cosine as in `cosine_loss`. There is no next-sentence term.

    Args:
        student_logits: over the vocabulary, at the real tokens in reading order.
        teacher_logits: the same of the teacher.
        is_masked: which of these tokens had to be guessed.
        labels: the words that were there, in the same order.
        student_map: last feature map.
        teacher_map: last feature map of the teacher.
        mask: True at real tokens.
        temperature: above 0; 2 in the released command.

    Source: Sanh et al. 2019 (arXiv 1910.01108), section 3; the released command weighs 5, 2 and 1.
    """
    return TripleTerms(
        soft_logits_loss(student_logits, teacher_logits, temperature),
        F.cross_entropy(student_logits[is_masked], labels),
        cosine_loss(student_map, teacher_map, mask),
    )


def triple_loss(
    terms: TripleTerms, *, distillation_factor: float = 5.0, language_factor: float = 2.0, cosine_factor: float = 1.0
) -> Float[Tensor, ""]:
    """The weighed sum of the three terms (factors of the released single-GPU command).

    >>> triple_loss(TripleTerms(torch.tensor(1.0), torch.tensor(10.0), torch.tensor(100.0))).item()
    125.0
    """
    return distillation_factor * terms.distillation + language_factor * terms.language + cosine_factor * terms.cosine
