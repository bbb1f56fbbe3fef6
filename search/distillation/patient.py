"""Patient knowledge distillation: the first token's states of intermediate blocks, by direction alone."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def patient_loss(
    student_states: Float[Tensor, "layers batch width"], teacher_states: Float[Tensor, "layers batch width"]
) -> Float[Tensor, ""]:
    """How far the student's [CLS] states point from the teacher's: mean squared difference of unit vectors.

    PT = mean over matched blocks, examples and channels of (h / |h| - g / |g|)^2 with h the student's and g the
    teacher's state of the first token. Which blocks are matched is the map's business: skip takes every k-th teacher
    block, last takes the upper ones (`search.recipe.skip_map`, `last_map`); the student's last block is not matched.

    Deviation from the paper's equation 7, which sums over channels and divides by the examples: the released code takes
    the mean over channels too, and its factor beta (10 to 1000) belongs to that form.

    Args:
        student_states: first-token states of the student's blocks but the last.
        teacher_states: those of the teacher's blocks that they are matched with.

    Source: Sun et al. 2019, "Patient Knowledge Distillation for BERT Model Compression", section 3.2 (arXiv
    1908.09355); intersun/PKD-for-BERT-Model-Compression.

    >>> import torch
    >>> patient_loss(torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[0.0, 5.0]]])).item()
    1.0
    """
    return F.mse_loss(F.normalize(student_states, dim=-1), F.normalize(teacher_states.detach(), dim=-1))
