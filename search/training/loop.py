"""The one training loop: steps of a stage, with divergence as an outcome, checkpoints by the clock, and exact
resumption."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search.record import CurvePoint
from search.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from search.training.ranks import average_gradients, mean_over_ranks
from search.training.stages import Stage

CURVE_POINTS = 40


class DivergedError(Exception):
    """Training reached a loss or gradient that is not finite; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Where and how often a training saves itself, and whom it tells how far it is."""

    path: Path
    seconds: float = 20.0
    """Time between checkpoints; 0 saves after every step."""
    writes: bool = True
    """Whether anything is saved at all: of several processes that train one trial, the first one does it for all."""
    tell: Callable[[str, int], None] = lambda stage, updates: None
    """Called after every step with the stage's name and the updates done in the whole training."""
    started: float = field(default_factory=time.process_time)
    """Processor clock when this process began the training."""


@dataclass(slots=True)
class Position:
    """How far a training is: everything but tensors that a checkpoint holds."""

    stage: int = 0
    step: int = 0
    updates: int = 0
    window_sum: float = 0.0
    window_count: int = 0
    curves: list[CurvePoint] = field(default_factory=list)
    measurements: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    """Processor seconds spent by earlier processes on this training."""
    replicas: int = 1
    """How many seeds were trained as one computation so far, this one included (`search/training/replicas.py`)."""
    replica_stages: int = 0
    """The stages that they were trained in so, from the first on."""
    diverged: str = ""
    """Where it diverged among its replicas; "" where it did not."""


def run_stage(stage: Stage, position: Position, keeper: Keeper, others: dict[str, nn.Module]) -> None:
    """Run a stage from `position.step` to its end.

    Args:
        others: networks beside the stage's own that a checkpoint must hold, by name.

    Raises:
        DivergedError: the loss or the gradient norm is not finite.
    """
    learn(stage)
    last_save = time.monotonic()
    while position.step < stage.steps:
        loss = _step(stage, position.step)
        log_loss(stage, position, loss)
        position.step += 1
        position.updates += 1
        if time.monotonic() - last_save >= keeper.seconds:
            save(keeper, position, {"current": stage.network, **others}, stage.optimizer)
            last_save = time.monotonic()
        keeper.tell(stage.name, position.updates)
    stage.optimizer.zero_grad(set_to_none=True)  # or the network would carry them through all stages to come


def learn(stage: Stage) -> None:
    """Gradients for what the stage optimises and for nothing else; dropout as it says."""
    optimised = {id(parameter) for group in stage.optimizer.param_groups for parameter in group["params"]}
    for parameter in stage.network.parameters():
        parameter.requires_grad_(id(parameter) in optimised)
    stage.network.train(stage.dropout)


def _step(stage: Stage, step: int) -> float:
    for group, rate in zip(stage.optimizer.param_groups, stage.rates(step), strict=True):
        group["lr"] = rate
    stage.optimizer.zero_grad(set_to_none=True)
    loss = stage.loss(step)
    value = mean_over_ranks(loss, stage.ranks)
    if diverged := divergence(stage, step, loss=value):
        raise DivergedError(diverged)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [parameter for group in stage.optimizer.param_groups for parameter in group["params"]]
    average_gradients(parameters, stage.ranks)
    norm = clip([parameter.grad for parameter in parameters if parameter.grad is not None], stage.clip_norm)
    if diverged := divergence(stage, step, norm=norm):
        raise DivergedError(diverged)
    stage.optimizer.step()
    return value


def clip(gradients: list[Tensor], limit: float) -> float:
    """Clip gradients to a norm of `limit`, in place; returns the norm before.

    The arithmetic is that of torch.nn.utils.clip_grad_norm_, which takes twice as long for a hundred small tensors: it
    moves each norm to its own device, and multiplies by 1 too.
    """
    if not gradients:
        return 0.0
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    factor = limit / (norm + 1e-6)
    value, share = torch.stack((norm, factor)).tolist()  # together: a GPU is waited for once
    if share < 1.0:
        torch._foreach_mul_(gradients, factor)
    return float(value)


def divergence(stage: Stage, step: int, *, loss: float = 0.0, norm: float = 0.0) -> str:
    """What became infinite or NaN, and where, the loss first; "" where both are finite."""
    for name, value in (("loss", loss), ("gradient norm", norm)):
        if not math.isfinite(value):
            return f"the {name} became {value} in stage {stage.name} at step {step}"
    return ""


def log_loss(stage: Stage, position: Position, loss: float) -> None:
    """Keep the mean loss of every window of steps."""
    position.window_sum += loss
    position.window_count += 1
    window = max(1, stage.steps // CURVE_POINTS)
    if position.window_count >= window or position.step + 1 == stage.steps:
        mean = position.window_sum / position.window_count
        position.curves.append(CurvePoint(stage=stage.name, step=position.step + 1, metric="loss", value=mean))
        position.window_sum, position.window_count = 0.0, 0


def save(
    keeper: Keeper, position: Position, networks: dict[str, nn.Module], optimizer: torch.optim.Optimizer | None
) -> None:
    """Write a checkpoint of the position, the networks, the optimizer and torch's generator."""
    if not keeper.writes:
        return
    tensors = {
        f"{name}/{key}": tensor for name, network in networks.items() for key, tensor in network.state_dict().items()
    }
    if optimizer is not None:
        tensors |= optimizer_tensors(optimizer)
    tensors["generator"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["generator.cuda"] = torch.cuda.get_rng_state()
    state = to_state(position) | {"seconds": seconds_spent(position, keeper)}
    save_checkpoint(keeper.path, Checkpoint(tensors, state))


def to_state(position: Position) -> dict[str, Any]:
    """A position as JSON."""
    curves = [[point.stage, point.step, point.metric, point.value] for point in position.curves]
    return {name: getattr(position, name) for name in Position.__slots__} | {"curves": curves}


def from_state(state: dict[str, Any]) -> Position:
    """The position that `to_state` gave; what an older one does not say has its default."""
    curves = [CurvePoint(stage=s, step=n, metric=m, value=v) for s, n, m, v in state["curves"]]
    return Position(**state | {"curves": curves})


def seconds_spent(position: Position, keeper: Keeper) -> float:
    """Processor seconds of this training so far, over all processes that worked on it."""
    return position.seconds + time.process_time() - keeper.started


def load(keeper: Keeper) -> tuple[Position, Checkpoint] | None:
    """The saved position and its checkpoint, or None where nothing was saved. Raises ValueError where it is
    corrupted."""
    if not keeper.path.exists():
        return None
    checkpoint = load_checkpoint(keeper.path)
    return from_state(checkpoint.state), checkpoint


def restore(network: nn.Module, name: str, checkpoint: Checkpoint) -> None:
    """Give a network the tensors saved under `name`."""
    prefix = f"{name}/"
    tensors = {key.removeprefix(prefix): tensor for key, tensor in checkpoint.tensors.items() if key.startswith(prefix)}
    network.load_state_dict(tensors)


def restore_stage(stage: Stage, checkpoint: Checkpoint) -> None:
    """Put a stage back to where its checkpoint was taken: weights, optimizer, generators."""
    restore(stage.network, "current", checkpoint)
    restore_optimizer(stage.optimizer, checkpoint.tensors)
    torch.set_rng_state(checkpoint.tensors["generator"])
    if "generator.cuda" in checkpoint.tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(checkpoint.tensors["generator.cuda"])
