"""A teacher as a network that answers and never learns, from the weights that its folder holds."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model_zoo.encoder import Encoder
from model_zoo.networks import PreTrainingNetwork, TaskNetwork
from search.data.spec import TaskSpec
from search.distillation.logits import ensemble_log_probabilities
from search.given_teacher import GivenTeacher
from search.training.students import num_outputs
from search.trial import TrialSpec

PREFIX = "pretrained/"


def teacher_network(
    teacher: TrialSpec | GivenTeacher, weights: Mapping[str, Tensor] | None, device: torch.device
) -> PreTrainingNetwork:
    """The teacher with its pre-training heads. Heads that a given teacher lacks have random weights: no objective
    reads them (plan time refuses those that would), and `missing_tensors` keeps them from being copied.

    Args:
        weights: `pretrained/...` tensors of its folder; others are left alone.

    Raises:
        ValueError: no weights were given.
    """
    if weights is None:
        raise ValueError("a trial with a teacher needs the teacher's weights, got none; train the teacher first")
    given = isinstance(teacher, GivenTeacher)
    network = PreTrainingNetwork(teacher.encoder, pooler=_pooler(teacher)).to(device)
    network.load_state_dict(_under(PREFIX, weights), strict=not given)
    return network.eval().requires_grad_(False)


def teacher_task_network(
    teacher: TrialSpec | GivenTeacher, weights: Mapping[str, Tensor], task: TaskSpec, device: torch.device
) -> TaskNetwork:
    """A teacher as its fine-tuning on one task left it, frozen. Raises ValueError where it has no such network."""
    found = _under(f"tasks/{task.name}/", weights)
    if not found:
        raise ValueError(
            f"task distillation needs the teacher's network of the task {task.name!r}, got a teacher without; "
            "fine-tune the teacher on it first"
        )
    network = TaskNetwork(Encoder(teacher.encoder), num_outputs(task), pooler=_pooler(teacher)).to(device)
    network.load_state_dict(found)
    return network.eval().requires_grad_(False)


class TaskEnsemble(nn.Module):
    """Several teachers of one task that answer as one: the mean of their probabilities (of a regression, of their
    outputs).

    Its logits are the log of that mean, whose softmax it is (Liu et al. 2019, arXiv 1904.09482, section 3).
    """

    def __init__(self, teachers: Sequence[TaskNetwork], task: TaskSpec) -> None:
        super().__init__()
        self.teachers = nn.ModuleList(teachers)
        self.kind = task.kind

    def forward(self, token_ids: Tensor, mask: Tensor, token_types: Tensor) -> Tensor:
        """As a `TaskNetwork` answers; a span's start and end are two distributions over the tokens."""
        logits = torch.stack([teacher(token_ids, mask, token_types) for teacher in self.teachers])
        if self.kind == "regression":
            return logits.mean(0)
        if self.kind != "span":
            return ensemble_log_probabilities(logits)
        rows = logits.transpose(2, 3).flatten(1, 2)  # (teachers, batch * 2, seq)
        mean = ensemble_log_probabilities(rows)
        return mean.view(-1, 2, mean.shape[-1]).transpose(1, 2)


def missing_tensors(network: PreTrainingNetwork, weights: Mapping[str, Tensor]) -> frozenset[str]:
    """Names of the network's tensors that the weights do not hold."""
    return frozenset(name for name in network.state_dict() if f"{PREFIX}{name}" not in weights)


def _pooler(teacher: TrialSpec | GivenTeacher) -> bool:
    return teacher.pooler if isinstance(teacher, GivenTeacher) else teacher.recipe.pooler


def _under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
