"""What a student copies from its teacher's logits on a task, each loss a pure function from tensors to a scalar.

Nothing here knows of models, steps or tasks: a row is whatever has a distribution of its own (an example, the start or
the end of an answer). The teacher is a constant everywhere (detached). Every loss is a mean over the rows.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def soft_logits_loss(
    student_logits: Float[Tensor, "rows classes"], teacher_logits: Float[Tensor, "rows classes"], temperature: float
) -> Float[Tensor, ""]:
    """Logit distillation: T^2 KL(teacher || student), both softened by the temperature T.

    T^2 * mean over rows of sum over classes c of p[c] * (log p[c] - log q[c]) with p = softmax(teacher / T) and
    q = softmax(student / T). The factor keeps the size of the gradient when T changes. 0 for a perfect copy.

    Args:
        student_logits: before the softmax.
        teacher_logits: the same of the teacher; log probabilities do as well (an ensemble's mean).
        temperature: above 0; a higher one shows more of the small probabilities.

    Raises:
        ValueError: temperature not above 0.

    Source: Hinton et al. 2015, "Distilling the knowledge in a neural network", section 2 (arXiv 1503.02531); the form
    of Sun et al. 2019, patient knowledge distillation (arXiv 1908.09355).

    >>> logits = torch.tensor([[0.0, 2.0]])
    >>> soft_logits_loss(logits, logits, 4.0).item()
    0.0
    """
    if not temperature > 0.0:
        raise ValueError(f"the temperature of soft logits must be above 0, got {temperature!r}")
    student = F.log_softmax(student_logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=-1)
    # By hand: torch's kl_div has no batched form, which replicas need, and autocast computes vecdot in bfloat16.
    divergence = (teacher.exp() * (teacher - student)).sum(dim=-1)  # (rows,)
    return temperature**2 * divergence.mean()


def logit_regression_loss(
    student_logits: Float[Tensor, "rows classes"], teacher_logits: Float[Tensor, "rows classes"]
) -> Float[Tensor, ""]:
    """Logits as a regression: the mean squared difference of the logits themselves, over rows and classes.

    Deviation: the paper writes the squared norm of a row; the mean over its classes differs by their number alone, and
    is what torch's function of that name gives.

    Source: Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks", section 3.2
    (arXiv 1903.12136).

    >>> logit_regression_loss(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])).item()
    2.5
    """
    return F.mse_loss(student_logits, teacher_logits.detach())


def soft_label_loss(
    student_logits: Float[Tensor, "rows classes"], probabilities: Float[Tensor, "rows classes"]
) -> Float[Tensor, ""]:
    """Cross-entropy against given class probabilities, such as the mean of an ensemble of teachers.

    - mean over rows of sum over classes c of p[c] * log q[c]. At a perfect copy it is the entropy of p, not 0.

    Args:
        student_logits: before the softmax.
        probabilities: each row sums to 1; a constant.

    Source: Liu et al. 2019, "Improving multi-task deep neural networks via knowledge distillation for natural language
    understanding", section 3 (arXiv 1904.09482).

    >>> round(soft_label_loss(torch.zeros(1, 2), torch.tensor([[0.25, 0.75]])).item(), 4)
    0.6931
    """
    return F.cross_entropy(student_logits, probabilities.detach())


def ensemble_log_probabilities(teacher_logits: Float[Tensor, "teachers rows classes"]) -> Float[Tensor, "rows classes"]:
    """Log of the mean of several teachers' class probabilities: what a student copies from an ensemble.

    log(1 / n * sum over teachers of softmax(logits)). In log space, so that a probability too small for its type does
    not become log(0); its exponential is what `soft_label_loss` takes, and `soft_logits_loss` takes it as it is.

    Args:
        teacher_logits: of one teacher after another, on the same rows; at least one.

    Raises:
        ValueError: no teacher.

    Source: Liu et al. 2019 (arXiv 1904.09482), section 3: the mean of the teachers' probabilities, not of their logits.

    >>> logits = torch.tensor([[[0.75, 0.25]], [[0.25, 0.75]]]).log()
    >>> ensemble_log_probabilities(logits).exp()
    tensor([[0.5000, 0.5000]])
    """
    if len(teacher_logits) == 0:
        raise ValueError("an ensemble needs at least 1 teacher, got 0")
    count = teacher_logits.new_tensor(float(len(teacher_logits)))
    mean: Tensor = F.log_softmax(teacher_logits.detach(), dim=-1).logsumexp(dim=0) - torch.log(count)
    return mean


def multi_task_distillation_loss(
    student_logits: Float[Tensor, "rows classes"],
    hard_loss: Float[Tensor, ""],
    probabilities: Float[Tensor, "rows classes"],
    teacher_share: float,
) -> Float[Tensor, ""]:
    """One task's loss in a multi-task student: hard labels and the ensemble's soft ones, mixed.

    (1 - teacher_share) * hard_loss + teacher_share * cross-entropy(probabilities, student). Every update takes a batch
    of one task; which one is the strategy's business.

    Args:
        student_logits: of one task's batch, before the softmax.
        hard_loss: the task's loss with labels on the same batch.
        probabilities: mean class probabilities of that task's teachers.
        teacher_share: from 0 (labels only) to 1 (teachers only); the paper weighs both alike.

    Raises:
        ValueError: teacher_share outside [0, 1].

    Source: Liu et al. 2019 (arXiv 1904.09482), Algorithm 1.

    >>> round(multi_task_distillation_loss(torch.zeros(1, 2), torch.tensor(1.0), torch.ones(1, 2) / 2, 0.5).item(), 4)
    0.8466
    """
    if not 0.0 <= teacher_share <= 1.0:
        raise ValueError(f"teacher_share must be from 0 to 1, got {teacher_share!r}")
    return (1.0 - teacher_share) * hard_loss + teacher_share * soft_label_loss(student_logits, probabilities)
