"""Reduced precision of a training's matrix products; what is on is said by `Acceleration`."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from search.training.acceleration import Precision


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Matrix products in `precision`, for the thread that enters it.

    Weights stay float32, and so does what NoNorm needs: its scale and shift are float32, hence its result and the
    residual sum that takes it, and no map between blocks is ever rounded to 8 bits. LayerNorm, softmax and
    cross-entropy are float32 by torch's own list.
    """
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def in_precision(loss: Callable[[int], Tensor], precision: Precision, device: torch.device) -> Callable[[int], Tensor]:
    """A stage's loss, computed in `precision`."""
    if precision == "float32":
        return loss

    def computed(step: int) -> Tensor:
        with autocast(precision, device):
            return loss(step)

    return computed
