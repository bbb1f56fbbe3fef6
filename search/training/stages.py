"""The stages of one training as values: what is optimised, at which rates, by which loss."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.networks import PreTrainingNetwork, TaskNetwork
from search.data.pretraining import PretrainingData, pretraining_batch
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.distillation.losses import (
    attention_transfer_loss,
    feature_map_loss_normalised,
    masked_language_distillation_loss,
)
from search.recipe import FineTuning, KnowledgeTransfer, Optimizer, PreTraining
from search.seeds import stream_seed
from search.training.acceleration import OFF, Acceleration
from search.training.lamb import Lamb
from search.training.schedules import pkt_multiplier, warmup_linear
from search.training.targets import targets
from search.training.teacher_outputs import Wanted


class Stage(NamedTuple):
    """One optimisation: `rates(step)` gives the learning rate of each parameter group."""

    name: str
    steps: int
    network: nn.Module
    optimizer: torch.optim.Optimizer
    rates: Callable[[int], Sequence[float]]
    loss: Callable[[int], Tensor]
    dropout: bool
    clip_norm: float


class Batch(NamedTuple):
    """A `PretrainingBatch` as tensors on the device."""

    token_ids: Tensor
    token_types: Tensor
    mask: Tensor
    masked_positions: Tensor
    masked_labels: Tensor
    is_random_next: Tensor


class Batches(NamedTuple):
    """Pre-training batches of one trial, by the number of the update, so that all arms of a seed see the same ones."""

    data: PretrainingData
    seed: int
    length: int
    device: torch.device
    acceleration: Acceleration = OFF

    def get(self, step: int, batch_size: int) -> Batch:
        """The batch of one update."""
        batch = pretraining_batch(self.data, seed=self.seed, step=step, batch_size=batch_size, length=self.length)
        return Batch(*(torch.from_numpy(getattr(batch, name)).to(self.device) for name in Batch._fields))


def transfer_stage(
    student: PreTrainingNetwork, teacher: PreTrainingNetwork, batches: Batches, recipe: KnowledgeTransfer
) -> Stage:
    """Progressive knowledge transfer (Sun et al. 2020, section 3.4; rates as in the released code, reference 3.2)."""
    blocks = list(student.encoder.blocks)
    groups = [group for index, block in enumerate(blocks) for group in _groups(block, recipe.optimizer, index)]
    phase_steps = recipe.steps // len(blocks)

    def rates(step: int) -> list[float]:
        peak = recipe.optimizer.learning_rate
        return [peak * pkt_multiplier(step, group["block"], phase_steps) for group in groups]

    def wanted(step: int) -> Wanted:
        return Wanted(feature_maps=(step // phase_steps,), attention_scores=(step // phase_steps,))

    target = targets(teacher, batches, recipe.batch_size, range(recipe.steps), wanted)

    def loss(step: int) -> Tensor:
        block = step // phase_steps
        batch, taught = target(step)
        inputs = (batch.token_ids, batch.mask, batch.token_types)
        output = student.encoder(*inputs, scores=True, num_blocks=block + 1)
        maps = feature_map_loss_normalised(
            output.feature_maps[-1],
            taught.feature_maps[block],
            batch.mask,
            normalised_factor=recipe.feature_map_factor,
            mean_factor=recipe.mean_factor,
            variance_factor=recipe.variance_factor,
        )
        attention = attention_transfer_loss(
            output.attention_scores[-1],
            taught.attention_scores[block],
            batch.mask,
            average_heads=recipe.average_heads,
        )
        total: Tensor = (maps + recipe.attention_factor * attention) / len(blocks)
        return total

    optimizer = _optimizer(groups, recipe.optimizer)
    return Stage("transfer", recipe.steps, student, optimizer, rates, loss, False, recipe.optimizer.clip_norm)


def pretraining_stage(
    network: PreTrainingNetwork,
    teacher: PreTrainingNetwork | None,
    batches: Batches,
    recipe: PreTraining,
    first_update: int,
) -> Stage:
    """Masked-language and next-sentence training; with a teacher's share it is pre-training distillation."""
    groups = list(_groups(network, recipe.optimizer, 0))
    distils = teacher is not None and recipe.teacher_share > 0
    updates = range(first_update, first_update + recipe.steps)
    target = None
    if teacher is not None and recipe.teacher_share > 0:
        target = targets(teacher, batches, recipe.batch_size, updates, lambda update: Wanted(masked_language=True))

    def loss(step: int) -> Tensor:
        taught = None
        if target is None:
            batch = batches.get(updates[step], recipe.batch_size)
        else:
            batch, taught = target(updates[step])
        inputs = (batch.token_ids, batch.mask, batch.token_types, batch.masked_positions)
        logits = network(*inputs)
        sentence = functional.cross_entropy(logits.next_sentence, batch.is_random_next)
        if taught is None or taught.masked_language is None:
            total: Tensor = functional.cross_entropy(logits.masked_language, batch.masked_labels) + sentence
            return total
        alpha = 1.0 - recipe.teacher_share
        mixed = masked_language_distillation_loss(
            logits.masked_language, taught.masked_language, batch.masked_labels, alpha
        )
        return mixed + sentence

    name = "distillation" if distils else "pre-training"
    optimizer = _optimizer(groups, recipe.optimizer)
    rates = _linear_rates(recipe.optimizer, recipe.steps, len(groups))
    return Stage(name, recipe.steps, network, optimizer, rates, loss, not distils, recipe.optimizer.clip_norm)


def fine_tuning_stage(network: TaskNetwork, task: TaskSpec, split: TaskSplit, recipe: FineTuning, seed: int) -> Stage:
    """One task with hard labels: cross-entropy, squared error for a regression, start and end for a span."""
    groups = list(_groups(network, recipe.optimizer, 0))
    device = next(network.parameters()).device
    tensors = task_tensors(split, device)
    # A regression learns standardised labels, whatever their scale; rank and linear correlation do not see the
    # difference.
    shift, scale = label_scale(task, split)

    def loss(step: int) -> Tensor:
        chosen = torch.from_numpy(_rows(len(split.labels), recipe.batch_size, step, seed, task.name)).to(device)
        token_ids, mask, token_types, labels = (part[chosen] for part in tensors)
        longest = int(mask.sum(1).max())
        logits = network(token_ids[:, :longest], mask[:, :longest], token_types[:, :longest])
        if task.kind == "regression":
            labels = (labels - shift) / scale
        return task_loss(task, logits, labels)

    optimizer = _optimizer(groups, recipe.optimizer)
    rates = _linear_rates(recipe.optimizer, recipe.steps, len(groups))
    return Stage(
        f"fine-tuning/{task.name}", recipe.steps, network, optimizer, rates, loss, True, recipe.optimizer.clip_norm
    )


def task_loss(task: TaskSpec, logits: Tensor, labels: Tensor) -> Tensor:
    """The training loss of a task's kind."""
    if task.kind == "regression":
        return functional.mse_loss(logits[:, 0], labels)
    if task.kind == "span":
        start, end = logits.unbind(-1)
        limit = logits.shape[1] - 1
        ends = functional.cross_entropy(end, labels[:, 1].clamp(max=limit))
        return (functional.cross_entropy(start, labels[:, 0].clamp(max=limit)) + ends) / 2
    return functional.cross_entropy(logits, labels)


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


def _groups(module: nn.Module, optimizer: Optimizer, block: int) -> list[dict[str, Any]]:
    """Matrices with weight decay and trust ratio; vectors (biases, norm scales and shifts) without."""
    parameters = list(module.parameters())
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    return [
        {"params": matrices, "weight_decay": optimizer.weight_decay, "adapt": True, "block": block},
        {"params": vectors, "weight_decay": 0.0, "adapt": False, "block": block},
    ]


def _optimizer(groups: list[dict[str, Any]], settings: Optimizer) -> torch.optim.Optimizer:
    betas = (0.9, settings.second_moment)
    if settings.kind == "lamb":
        return Lamb(groups, lr=settings.learning_rate, betas=betas)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, eps=1e-6, fused=True)


def _linear_rates(settings: Optimizer, steps: int, num_groups: int) -> Callable[[int], Sequence[float]]:
    warmup_steps = round(settings.warmup * steps)

    def rates(step: int) -> list[float]:
        multiplier = warmup_linear(step, steps, warmup_steps, settings.final_share)
        return [settings.learning_rate * multiplier] * num_groups

    return rates
