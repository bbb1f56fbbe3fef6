"""TinyBERT's objectives: maps through a learned projection, scores before the softmax, soft labels.

Nothing here knows of models or steps. The teacher is a constant everywhere (detached). A mask is True at real tokens
and False at padding, and padding never counts (in the released code it does). Source of all: Jiao et al. 2020,
"TinyBERT: Distilling BERT for Natural Language Understanding" (arXiv 1909.10351), section 3, equations 7 to 10, and
huawei-noah/Pretrained-Language-Model.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from search.distillation.losses import feature_map_loss

SMALLEST_SCORE = -100.0
"""Scores at or below it stand for masked pairs and count as 0, as in the released code."""


def projected_map_loss(
    student: Float[Tensor, "batch seq narrow"],
    teacher: Float[Tensor, "batch seq wide"],
    mask: Bool[Tensor, "batch seq"],
    weight: Float[Tensor, "wide narrow"],
    bias: Float[Tensor, " wide"],
) -> Float[Tensor, ""]:
    """Hidden-state or embedding distillation: mean squared difference after a learned projection.

    MSE(student W^T + b, teacher) over the real tokens and the teacher's channels; equations 8 (hidden states) and 9
    (embeddings), one projection for all of them. W and b are trained with the student. The equations have no b, the
    released code has.

    Args:
        student: embeddings or output of a student block.
        teacher: embeddings or output of the teacher block that it is matched with.
        mask: True at real tokens.
        weight: of the projection, as torch.nn.Linear holds it.
        bias: of the projection.

    >>> student, teacher = torch.tensor([[[1.0]]]), torch.tensor([[[2.0, 3.0]]])
    >>> mask, weight = torch.tensor([[True]]), torch.tensor([[2.0], [1.0]])
    >>> projected_map_loss(student, teacher, mask, weight, torch.zeros(2)).item()
    2.0
    """
    return feature_map_loss(F.linear(student, weight, bias), teacher, mask)


def attention_score_loss(
    student_scores: Float[Tensor, "batch student_heads seq seq"],
    teacher_scores: Float[Tensor, "batch teacher_heads seq seq"],
    mask: Bool[Tensor, "batch seq"],
) -> Float[Tensor, ""]:
    """Attention distillation on scores before the softmax: their mean squared difference, head by head; equation 7.

    Mean over heads and over pairs of a real query and a real key. A score at or below -100 counts as 0 in either
    network. Deviation from the released code, which divides by all pairs, padded ones too.

    Args:
        student_scores: before the softmax; what they hold at padded queries and keys does not matter.
        teacher_scores: the same of the teacher.
        mask: True at real tokens, for queries and keys alike.

    Raises:
        ValueError: head counts differ.

    >>> student = torch.tensor([[[[1.0, -10000.0], [2.0, 5.0]]]])
    >>> attention_score_loss(student, torch.zeros(1, 1, 2, 2), torch.tensor([[True, False]])).item()
    1.0
    """
    if student_scores.shape[1] != teacher_scores.shape[1]:
        raise ValueError(
            f"attention scores are compared head by head, got {student_scores.shape[1]} (student) and "
            f"{teacher_scores.shape[1]} (teacher) heads; use attention_transfer_loss with average_heads=True"
        )
    student, teacher = (
        torch.where(scores <= SMALLEST_SCORE, 0.0, scores) for scores in (student_scores, teacher_scores.detach())
    )
    pairs = mask[:, None, :, None] & mask[:, None, None, :]  # (batch, 1, query, key)
    # Padding is taken out before the difference: an infinity there would give a gradient of NaN.
    difference = torch.where(pairs, student, 0.0) - torch.where(pairs, teacher, 0.0)
    return difference.square().sum() / (pairs.sum() * student.shape[1])


def prediction_loss(
    student_logits: Float[Tensor, "rows classes"], teacher_logits: Float[Tensor, "rows classes"], temperature: float
) -> Float[Tensor, ""]:
    """Prediction distillation: soft cross-entropy, its mean over rows and classes; equation 10.

    - mean over rows and classes c of p[c] * log q[c] with p = softmax(teacher / T) and q = softmax(student / T); T = 1
    in the paper. The mean over classes is the released code's; a plain cross-entropy is larger by their number.

    Raises:
        ValueError: temperature not above 0.

    >>> round(prediction_loss(torch.zeros(1, 2), torch.zeros(1, 2), 1.0).item(), 4)
    0.3466
    """
    if not temperature > 0.0:
        raise ValueError(f"the temperature of the prediction loss must be above 0, got {temperature!r}")
    target = (teacher_logits.detach() / temperature).softmax(dim=-1)
    return F.cross_entropy(student_logits / temperature, target) / student_logits.shape[-1]
