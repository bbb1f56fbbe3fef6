"""One stage of several replicas as one computation: the stage's own objective, under torch.vmap, on stacked weights.

Every operation covers all replicas, and none reaches across them: batches, teacher, gradient norm and trust ratios are
each replica's own. Knows nothing of checkpoints and outcomes; those are `search/training/replicas.py`.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map

from search.training.acceleration import OFF, Acceleration
from search.training.checkpoint import optimizer_tensors, restore_optimizer
from search.training.lamb import Lamb
from search.training.lookahead import ahead
from search.training.precision import autocast
from search.training.replica_parts import parts_of
from search.training.stacked import clip_each, stack, unstack
from search.training.stages import Batches, Stage


def batched_attention() -> contextlib.AbstractContextManager[Any]:
    """Where replicas are trained: attention as plain products, for all threads.

    torch has no batched form of the CPU's fused attention; vmap would run it replica by replica.
    """
    return sdpa_kernel(SDPBackend.MATH)


class ReplicaStage:
    """One stage of all replicas; `step` is what the engine calls, inside `batched_attention`.

    Args:
        stages: the same stage of every replica, as it would be trained alone; the first lends its code to all.
        teachers: of every replica; empty where none is asked.
        batches: of the corpus, of every replica, on the CPU; a stage of a task reads none of them.
        acceleration: lookahead, prefetch and precision count.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        teachers: Sequence[nn.Module],
        batches: Sequence[Batches],
        acceleration: Acceleration = OFF,
    ) -> None:
        self.stage, self.acceleration = stages[0], acceleration
        self.parts = parts_of(stages, batches)
        self.networks = [stage.network for stage in stages]
        self.stage.network.train(self.stage.dropout)
        self.weights, self.taught_by = stack(self.networks), stack(teachers) if teachers else {}
        self.device = next(iter(self.weights.values())).device
        self.optimizer = _stacked_optimizer(self.stage, self.weights)
        self.student = _Asked(self.stage.network, self.parts.value)
        self.teacher = teachers[0] if teachers else None
        stop = self.parts.updates.stop
        self.batch_of = ahead(self._batch, stop) if acceleration.prefetch else self._batch
        self.target_of = ahead(self._target, stop) if acceleration.lookahead else self._target

    def step(self, step: int) -> tuple[list[float], list[float]]:
        """One update of all replicas; the losses and the gradient norms before clipping, one per replica.

        A replica whose loss or gradient is not finite holds nothing of use from then on; it changes no other, as no
        operation reaches across replicas.
        """
        for group, rate in zip(self.optimizer.param_groups, self.stage.rates(step), strict=True):
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        if self.parts.prepare is not None:
            self.parts.prepare(step)
            self._take_over_frozen()
        batch, taught = self.target_of(self.parts.updates[step])

        def loss(weights: dict[str, Tensor], own: Any, answers: Any) -> Any:
            return self.student.with_weights(weights, step, own, answers)

        with autocast(self.acceleration.precision, self.device):
            losses = torch.vmap(loss)(self.weights, batch, taught)
        losses.sum().backward()
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        norms = clip_each(gradients, self.stage.clip_norm)
        self.optimizer.step()
        found = torch.stack((losses.detach(), norms)).tolist()  # the one time that the host waits for a GPU
        return found[0], found[1]

    def write_back(self) -> None:
        """Give every replica's network its weights."""
        unstack(self.weights, self.networks)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of a stage."""
        return {f"current/{name}": weight for name, weight in self.weights.items()} | optimizer_tensors(self.optimizer)

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to what `tensors` gave."""
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"current/{name}"])
        restore_optimizer(self.optimizer, tensors)

    def _take_over_frozen(self) -> None:
        alone = self.stage.optimizer.param_groups
        for group, own in zip(self.optimizer.param_groups, alone, strict=True):
            for weight, parameter in zip(group["params"], own["params"], strict=True):
                weight.requires_grad_(parameter.requires_grad)

    def _batch(self, update: int) -> Any:
        """Every replica's batch of one update, stacked, on the device."""
        return tree_map(self._moved, self.parts.batch(update))

    def _moved(self, tensor: Tensor) -> Tensor:
        if self.acceleration.prefetch and self.device.type == "cuda" and not tensor.is_cuda:
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def _target(self, update: int) -> tuple[Any, Any]:
        """Batch and teacher outputs of one update."""
        batch, asked = self.batch_of(update), self.parts.answers(update)
        if self.teacher is None or asked is None:
            return batch, {}
        teacher = _Asked(self.teacher, partial(asked, self.teacher))
        with torch.no_grad(), autocast(self.acceleration.precision, self.device):
            return batch, torch.vmap(teacher.with_weights)(self.taught_by, batch)


class _Asked(nn.Module):
    """A function that reads a network, as a module whose weights can be given for one call."""

    def __init__(self, network: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.network = network
        self.function = function

    def forward(self, *given: Any) -> Any:
        """What the function gives."""
        return self.function(*given)

    def with_weights(self, weights: Mapping[str, Tensor], *given: Any) -> Any:
        """The same with other weights in the network, by their names there."""
        return functional_call(self, {f"network.{name}": tensor for name, tensor in weights.items()}, given)


def _stacked_optimizer(stage: Stage, weights: Mapping[str, Tensor]) -> torch.optim.Optimizer:
    """The stage's optimizer over stacked weights, which from now on have gradients."""
    names = {id(parameter): name for name, parameter in stage.network.named_parameters()}
    groups = [
        group | {"params": [weights[names[id(one)]].requires_grad_() for one in group["params"]], "stacked": True}
        for group in stage.optimizer.param_groups
    ]
    if isinstance(stage.optimizer, Lamb):
        return Lamb(groups, lr=0.0)
    return torch.optim.AdamW(groups, fused=True)
