"""Fine-tuning on one task as a stage, on labels alone or distilled from a teacher's fine-tuned network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.networks import TaskNetwork
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.recipe import FineTuning
from search.seeds import stream_seed
from search.training.acceleration import ALONE, Ranks
from search.training.stages import Stage, groups_by_depth, make_optimizer, parameter_groups, scheduled_rates
from search.training.task_losses import distilled_loss, task_loss
from search.training.teacher_network import TaskEnsemble


class TaskBatch(NamedTuple):
    """Rows of a task on the device, cut to the longest of them; labels as training sees them."""

    token_ids: Tensor
    mask: Tensor
    token_types: Tensor
    labels: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What an encoder takes."""
        return self.token_ids, self.mask, self.token_types


def fine_tuning_stage(
    network: TaskNetwork | BiLSTMTask,
    task: TaskSpec,
    split: TaskSplit,
    recipe: FineTuning,
    seed: int,
    teacher: TaskNetwork | TaskEnsemble | None = None,
    *,
    ranks: Ranks = ALONE,
) -> Stage:
    """One task: cross-entropy, squared error for a regression, start and end for a span; distilled where asked for.

    Args:
        teacher: fine-tuned on the same task; needed where the recipe distils.
    """
    if isinstance(network, BiLSTMTask):
        groups = parameter_groups(network.parameters(), recipe.optimizer)
    else:
        groups = groups_by_depth(network, network.encoder, recipe.optimizer)
    batches = task_batches(task, split, recipe.batch_size, seed, next(network.parameters()).device, ranks)

    def loss(step: int) -> Tensor:
        batch = batches(step)
        if recipe.distillation is not None:
            assert teacher is not None
            return distilled_loss(network, teacher, task, recipe.distillation, batch.inputs, batch.labels)
        return task_loss(task, network(*batch.inputs), batch.labels)

    optimizer = make_optimizer(groups, recipe.optimizer)
    rates = scheduled_rates(recipe.optimizer, recipe.steps, groups)
    return Stage(
        f"fine-tuning/{task.name}", recipe.steps, network, optimizer, rates, loss, True, recipe.optimizer.clip_norm
    )


def task_batches(
    task: TaskSpec, split: TaskSplit, batch_size: int, seed: int, device: torch.device, ranks: Ranks = ALONE
) -> Callable[[int], TaskBatch]:
    """The batch of every step, a function of seed, task and step alone."""
    tensors = task_tensors(split, device)
    # A regression learns standardised labels, whatever their scale; rank and linear correlation do not see the
    # difference.
    shift, scale = label_scale(task, split)

    def batch(step: int) -> TaskBatch:
        rows = _rows(len(split.labels), batch_size, step, seed, task.name)
        own = slice(ranks.rank * batch_size // ranks.size, (ranks.rank + 1) * batch_size // ranks.size)
        chosen = torch.from_numpy(rows[own]).to(device)
        token_ids, mask, token_types, labels = (part[chosen] for part in tensors)
        longest = int(mask.sum(1).max())
        if task.kind == "regression":
            labels = (labels - shift) / scale
        return TaskBatch(token_ids[:, :longest], mask[:, :longest], token_types[:, :longest], labels)

    return batch


def label_scale(task: TaskSpec, split: TaskSplit) -> tuple[float, float]:
    """Mean and standard deviation of a regression's labels; (0, 1) for other kinds and for constant labels."""
    if task.kind != "regression":
        return 0.0, 1.0
    return float(split.labels.mean()), float(split.labels.std()) or 1.0


def task_tensors(split: TaskSplit, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Token ids, mask (True: real token), token types and labels of a split."""
    parts = (split.token_ids, split.mask, split.token_types, split.labels)
    token_ids, mask, token_types, labels = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts)
    return token_ids, mask, token_types, labels


def _rows(num_rows: int, batch_size: int, step: int, seed: int, task: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows of one batch: each epoch is a fresh permutation, batches run across epochs."""
    first = step * batch_size
    epochs = range(first // num_rows, (first + batch_size - 1) // num_rows + 1)
    orders = [np.random.default_rng(stream_seed(seed, "rows", task, epoch)).permutation(num_rows) for epoch in epochs]
    start = first - epochs[0] * num_rows
    return np.concatenate(orders)[start : start + batch_size]
