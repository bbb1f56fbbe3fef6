"""What a student is asked to copy, each loss a pure function from tensors to a scalar.

Nothing here knows of models, steps or schedules: which losses are active when is the strategy's business. The teacher
is a constant everywhere (detached: no gradient flows into it). A mask is True at real tokens and False at padding, and
padding never counts: neither as a token, nor as a query, nor as a key. Sums are of products of elements, as autocast
would compute torch's vecdot in bfloat16. A batch without any real token has no mean: NaN.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

NORM_EPSILON = 1e-12
"""Added to the variance in the normalised feature-map loss, as in the released code (TensorFlow 1, contrib)."""
PADDED_SCORE = -1e30
"""What stands for the score of a padded key: its probability is exactly 0, and differences of it are finite."""


def feature_map_loss(
    student: Float[Tensor, "batch seq width"],
    teacher: Float[Tensor, "batch seq width"],
    mask: Bool[Tensor, "batch seq"],
) -> Float[Tensor, ""]:
    """Feature-map transfer in the paper's plain form: the mean squared difference of one block's outputs.

    FMT = 1 / (T N) * sum over tokens t and channels n of (teacher[t, n] - student[t, n])^2, where T counts the real
    tokens of the whole batch.

    Args:
        student: output of a student block.
        teacher: output of the teacher block that it is compared with.
        mask: True at real tokens.

    Source: Sun et al. 2020, MobileBERT, section "training objectives" (arXiv 2004.02984).

    >>> student = torch.tensor([[[1.0, 2.0], [9.0, 9.0]]])
    >>> feature_map_loss(student, torch.zeros(1, 2, 2), torch.tensor([[True, False]])).item()
    2.5
    """
    return _mean_over_real((student - teacher.detach()).square().mean(dim=-1), mask)


def feature_map_loss_normalised(
    student: Float[Tensor, "batch seq width"],
    teacher: Float[Tensor, "batch seq width"],
    mask: Bool[Tensor, "batch seq"],
    *,
    normalised_factor: float = 100.0,
    mean_factor: float = 5000.0,
    variance_factor: float = 5.0,
) -> Float[Tensor, ""]:
    """Feature-map transfer in the released form: shape, mean and variance of each token's channels, weighed apart.

    normalised_factor * MSE(LN(student), LN(teacher)) + mean_factor * mean_t (m_student[t] - m_teacher[t])^2
    + variance_factor * mean_t |v_student[t] - v_teacher[t]|, where LN is layer normalisation over the channels without
    scale and shift, and m, v are mean and (population) variance of a token's channels.

    Deviations from the released code: each layer is compared with its matching teacher layer only (there, the mean and
    variance terms take the list of all teacher layers, which looks like a slip), and padded tokens do not count (there,
    they do).

    Args:
        student: output of a student block.
        teacher: output of the teacher block that it is compared with.
        mask: True at real tokens.
        normalised_factor: the released `hidden_distill_factor`.
        mean_factor: the released `beta_distill_factor`.
        variance_factor: the released `gamma_distill_factor`.

    Source: google-research/mobilebert, run_pretraining.py and its README command; Sun et al. 2020 (arXiv 2004.02984).

    >>> student = torch.tensor([[[1.0, 3.0]]])
    >>> round(feature_map_loss_normalised(student, student + 0.1, torch.tensor([[True]])).item(), 3)
    50.0
    """
    student_mean, student_variance, student_shape = _standardised(student)
    teacher_mean, teacher_variance, teacher_shape = _standardised(teacher.detach())
    difference = student_shape - teacher_shape
    per_token = normalised_factor * _mean_square(difference)
    of_means = mean_factor * (student_mean - teacher_mean).square()
    of_variances = variance_factor * (student_variance - teacher_variance).abs()
    return _mean_over_real(per_token + (of_means + of_variances).squeeze(-1), mask)


def attention_transfer_loss(
    student_scores: Float[Tensor, "batch student_heads seq seq"],
    teacher_scores: Float[Tensor, "batch teacher_heads seq seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    average_heads: bool,
) -> Float[Tensor, ""]:
    """Attention transfer: how far the student's attention is from the teacher's, KL(teacher row || student row).

    AT = mean over real queries t and heads a of sum over real keys k of p[t, a, k] * (log p[t, a, k] - log q[t, a, k]),
    with p the teacher's and q the student's softmax over the keys. With `average_heads` p and q are first averaged over
    the heads (the probabilities, not the scores), so that the head counts may differ; a study that varies head counts
    must use it in every arm.

    Deviation from the released code, which takes the cross-entropy (same gradient, but not 0 for a perfect copy) and
    counts padded queries.

    Args:
        student_scores: before the softmax; what they hold at padded keys does not matter.
        teacher_scores: the same of the teacher.
        mask: True at real tokens, for queries and keys alike.
        average_heads: compare the mean map of all heads instead of head with head.

    Raises:
        ValueError: head counts differ and `average_heads` is False.

    Source: Sun et al. 2020, MobileBERT, section "training objectives" (arXiv 2004.02984).

    >>> scores = torch.zeros(1, 1, 2, 2)
    >>> attention_transfer_loss(scores, scores, torch.ones(1, 2, dtype=torch.bool), average_heads=False).item()
    0.0
    """
    _check_heads(student_scores.shape[1], teacher_scores.shape[1], average_heads)
    student, teacher = (_at_real_keys(scores, mask) for scores in (student_scores, teacher_scores.detach()))
    difference = _log_attention(teacher, average_heads) - _log_attention(student, average_heads)
    divergence = (_attention(teacher, average_heads) * difference).sum(dim=-1)  # (batch, heads, query)
    return _mean_over_real(divergence.mean(dim=1), mask)


def attention_transfer_cross_entropy(
    student_scores: Float[Tensor, "batch student_heads seq seq"],
    teacher_scores: Float[Tensor, "batch teacher_heads seq seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    average_heads: bool,
) -> Float[Tensor, ""]:
    """Attention transfer in the released form: cross-entropy of the student's attention against the teacher's.

    - mean over real queries t and heads a of sum over real keys k of p[t, a, k] * log q[t, a, k]: the KL form plus the
    teacher's entropy. Same gradient; at a perfect copy it is that entropy, not 0.

    Deviation from the released code, which counts padded queries.

    Args and errors are those of `attention_transfer_loss`.

    Source: google-research/mobilebert, run_pretraining.py (`attention_distill_factor`).

    >>> scores = torch.zeros(1, 1, 2, 2)
    >>> mask = torch.ones(1, 2, dtype=torch.bool)
    >>> round(attention_transfer_cross_entropy(scores, scores, mask, average_heads=False).item(), 4)
    0.6931
    """
    _check_heads(student_scores.shape[1], teacher_scores.shape[1], average_heads)
    student, teacher = (_at_real_keys(scores, mask) for scores in (student_scores, teacher_scores.detach()))
    cross = -(_attention(teacher, average_heads) * _log_attention(student, average_heads)).sum(dim=-1)
    return _mean_over_real(cross.mean(dim=1), mask)


def masked_language_distillation_loss(
    student_logits: Float[Tensor, "masked vocab"],
    teacher_logits: Float[Tensor, "masked vocab"],
    labels: Int[Tensor, " masked"],
    alpha: float,
    real: Bool[Tensor, " masked"] | None = None,
) -> Float[Tensor, ""]:
    """Pre-training distillation without its next-sentence term: cross-entropy against labels and teacher, mixed.

    - mean over masked positions of sum over words w of (alpha * [w = label] + (1 - alpha) * p[w]) * log q[w], with p
    the teacher's and q the student's softmax. It is alpha * MLM + (1 - alpha) * KD of the paper. Cross-entropy, not KL:
    at a perfect copy it is the teacher's entropy, not 0.

    Args:
        student_logits: over the vocabulary, at masked positions only (gathered before the head: logits elsewhere are
            never computed).
        teacher_logits: the same of the teacher.
        labels: the words that were there.
        alpha: share of the labels, from 0 (teacher only) to 1 (labels only); the released command uses 0.5.
        real: False at rows that only fill up and do not count; None where all count.

    Raises:
        ValueError: alpha outside [0, 1].

    Source: Sun et al. 2020, MobileBERT, section "training objectives" (arXiv 2004.02984); google-research/mobilebert,
    `distill_ground_truth_ratio`.

    >>> logits = torch.zeros(1, 4)
    >>> round(masked_language_distillation_loss(logits, logits, torch.tensor([2]), 0.5).item(), 4)
    1.3863
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha, the share of the labels, must be from 0 to 1, got {alpha!r}")
    target = teacher_logits.detach().softmax(dim=-1).mul_(1.0 - alpha)
    target.scatter_add_(1, labels.unsqueeze(1), target.new_full((len(labels), 1), alpha))
    if real is None:
        return F.cross_entropy(student_logits, target)
    counted = torch.where(real.unsqueeze(1), target, 0.0)
    return F.cross_entropy(student_logits, counted, reduction="sum") / real.sum()


def _check_heads(num_student_heads: int, num_teacher_heads: int, average_heads: bool) -> None:
    if not average_heads and num_student_heads != num_teacher_heads:
        raise ValueError(
            f"attention is compared head by head only between equal head counts, got {num_student_heads} (student) and "
            f"{num_teacher_heads} (teacher); set average_heads=True"
        )


def _mean_over_real(values: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> Float[Tensor, ""]:
    """Mean of `values` where `mask` is True."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def _standardised(
    maps: Float[Tensor, "batch seq width"],
) -> tuple[Float[Tensor, "batch seq 1"], Float[Tensor, "batch seq 1"], Float[Tensor, "batch seq width"]]:
    """Mean and (population) variance of each token's channels, and the channels without them.

    torch.var_mean alone takes ten times as long as all that is here (1,024 tokens of width 64, one core: 0.38 and 0.036
    ms), and every step would pay it twice a block.
    """
    mean = maps.mean(dim=-1, keepdim=True)
    centred = maps - mean
    variance = _mean_square(centred).unsqueeze(-1)
    return mean, variance, centred * (variance + NORM_EPSILON).rsqrt()


def _mean_square(values: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq"]:
    return values.square().mean(dim=-1)


def _at_real_keys(
    scores: Float[Tensor, "batch heads seq seq"], mask: Bool[Tensor, "batch seq"]
) -> Float[Tensor, "batch heads seq seq"]:
    """The scores, with `PADDED_SCORE` at padded keys.

    Added, which takes a fifth of the time of filling in; then bounded, as minus infinity may stand there already.
    """
    below = torch.where(mask, 0.0, PADDED_SCORE).to(scores.dtype)[:, None, None, :]  # (batch, 1, 1, key)
    return (scores + below).clamp(min=PADDED_SCORE)


def _attention(real: Float[Tensor, "batch heads seq seq"], average_heads: bool) -> Float[Tensor, "batch maps seq seq"]:
    """Probabilities over the keys."""
    probabilities = real.softmax(dim=-1)  # sooner had than exp of log probabilities
    return probabilities.mean(dim=1, keepdim=True) if average_heads else probabilities


def _log_attention(
    real: Float[Tensor, "batch heads seq seq"], average_heads: bool
) -> Float[Tensor, "batch maps seq seq"]:
    """Log probabilities over the keys."""
    log_probabilities = F.log_softmax(real, dim=-1)
    if not average_heads:
        return log_probabilities
    # In log space, so that a probability too small for its type does not become log(0).
    return log_probabilities.logsumexp(dim=1, keepdim=True) - math.log(real.shape[1])
