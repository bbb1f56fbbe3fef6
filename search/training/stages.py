"""What every stage of a training is made of: batches, parameter groups, an optimizer and its rates."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from model_zoo.encoder import Encoder
from search.data.pretraining import PretrainingData, pretraining_batch
from search.recipe import Optimizer
from search.training.acceleration import ALONE, OFF, Acceleration, Ranks
from search.training.lamb import Lamb
from search.training.lookahead import ahead
from search.training.schedules import warmup_linear, warmup_polynomial
from search.training.task_rows import TaskObjective
from search.training.teacher_outputs import Taught, Wanted


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
    ranks: Ranks = ALONE
    objective: "Objective | TaskObjective | None" = None
    """What `loss` is made of; None where replicas cannot compute it as one."""


class Batch(NamedTuple):
    """A `PretrainingBatch` as tensors on the device."""

    token_ids: Tensor
    token_types: Tensor
    mask: Tensor
    masked_positions: Tensor
    masked_labels: Tensor
    is_random_next: Tensor
    token_share: float = 1.0
    """How many times its even share of the real tokens a rank's part of the batch holds."""
    masked_share: float = 1.0
    """The same of the masked tokens."""
    masked_real: Tensor | None = None
    """False at masked positions that only fill a replica's up to the number of another's; None where all are real."""

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What an encoder takes."""
        return self.token_ids, self.mask, self.token_types

    @property
    def real_positions(self) -> Tensor:
        """Places of all real tokens among the flattened (batch * seq) ones."""
        return self.mask.flatten().nonzero().squeeze(1)


TENSORS = Batch._fields[:6]


class Objective(NamedTuple):
    """A loss on the corpus in parts, so that replicas can compute each part as one."""

    updates: range
    """The numbers of the stage's updates in the whole training."""
    batch_size: int
    value: Callable[[int, Batch, Taught], Tensor]
    """The loss at a step of the stage, from its batch and the teacher's outputs."""
    wanted: Callable[[int], Wanted] | None = None
    """What is read of the teacher at an update; None asks no teacher."""
    prepare: Callable[[int], None] | None = None
    """Says before a step's loss which parameters have gradients; None where all that is optimised has."""


def in_share(loss: Tensor, share: float) -> Tensor:
    """A mean over a rank's tokens, weighed so that the mean over ranks is that over all tokens."""
    return loss if share == 1.0 else loss * share


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
        whole = Batch._make((*(torch.from_numpy(getattr(batch, name)) for name in TENSORS), 1.0, 1.0, None))
        part = rank_part(whole, self.acceleration.ranks)
        if self.acceleration.prefetch and self.device.type == "cuda":
            moved = {name: getattr(part, name).pin_memory().to(self.device, non_blocking=True) for name in TENSORS}
        else:
            moved = {name: getattr(part, name).to(self.device) for name in TENSORS}
        return part._replace(**moved)

    def getter(self, batch_size: int, stop: int) -> Callable[[int], Batch]:
        """`get` for updates before `stop`; the next one's batch is drawn ahead where that is asked for."""

        def batch(step: int) -> Batch:
            return self.get(step, batch_size)

        return ahead(batch, stop) if self.acceleration.prefetch else batch


def rank_part(batch: Batch, ranks: Ranks) -> Batch:
    """A rank's rows of a batch, whose size the number of ranks divides."""
    if ranks.size == 1:
        return batch
    rows, length = batch.token_ids.shape
    own = slice(ranks.rank * rows // ranks.size, (ranks.rank + 1) * rows // ranks.size)
    masked = (batch.masked_positions >= own.start * length) & (batch.masked_positions < own.stop * length)
    return Batch(
        batch.token_ids[own],
        batch.token_types[own],
        batch.mask[own],
        batch.masked_positions[masked] - own.start * length,
        batch.masked_labels[masked],
        batch.is_random_next[own],
        token_share=ranks.size * float(batch.mask[own].sum() / batch.mask.sum()),
        masked_share=ranks.size * float(masked.sum() / len(masked)),
    )


class Projected(nn.Module):
    """A student in training beside the projection of its maps, so that both are optimised and saved together."""

    def __init__(self, network: nn.Module, projection: nn.Linear) -> None:
        super().__init__()
        self.network = network
        self.projection = projection


def parameter_groups(
    parameters: Iterable[nn.Parameter], optimizer: Optimizer, *, block: int | None = 0, factor: float = 1.0
) -> list[dict[str, Any]]:
    """Matrices with weight decay and trust ratio; vectors (biases, norm scales and shifts) without.

    Args:
        block: which block they belong to; None for what belongs to all.
        factor: of these parameters' learning rate.
    """
    all_of_them = list(parameters)
    matrices = [parameter for parameter in all_of_them if parameter.ndim >= 2]
    vectors = [parameter for parameter in all_of_them if parameter.ndim < 2]
    shared = {"block": block, "factor": factor}
    return [
        {"params": matrices, "weight_decay": optimizer.weight_decay, "adapt": True, **shared},
        {"params": vectors, "weight_decay": 0.0, "adapt": False, **shared},
    ]


def groups_by_depth(network: nn.Module, encoder: Encoder, optimizer: Optimizer) -> list[dict[str, Any]]:
    """All parameters of a network, with the optimizer's factor by depth: heads 1, the top block one `layer_decay`, and
    so on down; embeddings are one below the lowest block."""
    decay = optimizer.layer_decay
    if decay == 1.0:
        return parameter_groups(network.parameters(), optimizer)
    depth = len(encoder.blocks)
    below = {id(parameter) for parameter in encoder.parameters()}
    heads = [parameter for parameter in network.parameters() if id(parameter) not in below]
    groups = parameter_groups(encoder.embedding.parameters(), optimizer, factor=decay ** (depth + 1))
    for index, block in enumerate(encoder.blocks):
        groups += parameter_groups(block.parameters(), optimizer, block=index, factor=decay ** (depth - index))
    return [*groups, *parameter_groups(heads, optimizer)]


def make_optimizer(groups: list[dict[str, Any]], settings: Optimizer) -> torch.optim.Optimizer:
    """The recipe's optimizer over parameter groups."""
    betas = (0.9, settings.second_moment)
    if settings.kind == "lamb":
        return Lamb(groups, lr=settings.learning_rate, betas=betas, bias_correction=settings.bias_correction)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, eps=1e-6, fused=True)


def scheduled_rates(
    settings: Optimizer, steps: int, groups: Sequence[dict[str, Any]]
) -> Callable[[int], Sequence[float]]:
    """Warm-up and decay of every group's rate, as the recipe's optimizer says."""
    warmup_steps = round(settings.warmup * steps)

    def rates(step: int) -> list[float]:
        if settings.decay_power == 1.0:
            multiplier = warmup_linear(step, steps, warmup_steps, settings.final_share)
        else:
            multiplier = warmup_polynomial(step, steps, warmup_steps, settings.final_share, settings.decay_power)
        return [settings.learning_rate * multiplier * group["factor"] for group in groups]

    return rates
