"""The networks of a training: the student as it starts, the teacher as it was saved, and one network per task."""

import copy
from collections.abc import Collection, Sequence

import torch
from torch import nn

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.encoder import Encoder, initialize
from model_zoo.networks import MultiTaskNetwork, PreTrainingNetwork, TaskNetwork, copy_from_teacher
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.recipe import KnowledgeTransfer, Recipe
from search.seeds import stream_seed

OUTPUTS = {"regression": 1, "span": 0}
"""Outputs of a task's head; a classification has one per label."""


def start_from_teacher(
    student: PreTrainingNetwork, teacher: PreTrainingNetwork, recipe: Recipe, without: Collection[str] = ()
) -> None:
    """Copy what the recipe lets the student start with; `without` names tensors that the teacher never learned."""
    transfer = recipe.knowledge_transfer
    if recipe.copied_blocks:
        copy_from_teacher(student, teacher, blocks=recipe.copied_blocks, without=without)
    elif transfer is not None and transfer.copied != "nothing":
        copy_from_teacher(student, teacher, heads=transfer.copied == "embeddings_and_heads", without=without)


def task_network(network: PreTrainingNetwork, task: TaskSpec, recipe: Recipe, seed: int) -> TaskNetwork:
    """The pre-trained encoder, copied, under a fresh head."""
    torch.manual_seed(stream_seed(seed, "head", task.name))
    return TaskNetwork(copy.deepcopy(network.encoder), num_outputs(task), pooler=recipe.pooler)


def bilstm_network(config: BiLSTMConfig, task: TaskSpec, split: TaskSplit, seed: int) -> BiLSTMTask:
    """A BiLSTM of random weights, the task's own; its rows are pairs where some token of the split is of type 1."""
    torch.manual_seed(stream_seed(seed, "bilstm", task.name))
    return BiLSTMTask(config, num_outputs(task), pair=bool((split.token_types == 1).any()))


def multi_task_network(networks: Sequence[TaskNetwork]) -> MultiTaskNetwork:
    """The encoder of the first under the heads of all."""
    return MultiTaskNetwork(networks[0].encoder, [network.head for network in networks])


def separate(shared: MultiTaskNetwork, networks: Sequence[TaskNetwork]) -> None:
    """Give every task's network what the shared one has learned."""
    for network, head in zip(networks, shared.heads, strict=True):
        network.encoder.load_state_dict(shared.encoder.state_dict())
        network.head.load_state_dict(head.state_dict())


def make_projection(
    transfer: KnowledgeTransfer, student: Encoder, teacher: Encoder, seed: int, device: torch.device
) -> nn.Linear | None:
    """The learned projection of the student's maps to the teacher's width, where the recipe has one."""
    if not transfer.projection:
        return None
    torch.manual_seed(stream_seed(seed, "projection"))
    projection = nn.Linear(student.config.hidden_size, teacher.config.hidden_size)
    initialize(projection, student.config.initializer_range)
    return projection.to(device)


def num_outputs(task: TaskSpec) -> int:
    """Outputs of a task's head; 0 stands for a span."""
    return OUTPUTS.get(task.kind, task.num_labels)
