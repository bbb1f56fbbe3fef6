"""A teacher as a network that answers and never learns, from the weights that its folder holds."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model_zoo.networks import PreTrainingNetwork
from search.given_teacher import GivenTeacher
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
    pooler = teacher.pooler if isinstance(teacher, GivenTeacher) else teacher.recipe.pooler
    network = PreTrainingNetwork(teacher.student, pooler=pooler).to(device)
    network.load_state_dict(
        {name.removeprefix(PREFIX): tensor for name, tensor in weights.items() if name.startswith(PREFIX)},
        strict=not given,
    )
    return network.eval().requires_grad_(False)


def missing_tensors(network: PreTrainingNetwork, weights: Mapping[str, Tensor]) -> frozenset[str]:
    """Names of the network's tensors that the weights do not hold."""
    return frozenset(name for name in network.state_dict() if f"{PREFIX}{name}" not in weights)
