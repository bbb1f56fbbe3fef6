"""Reduced precision and compilation of a training's networks; what is on is said by `Acceleration`."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_zoo.encoder import Encoder
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


def compile_blocks(*encoders: Encoder) -> None:
    """Compile the blocks of encoders in place; one block's code serves all of its encoder (regional compilation).

    Names of weights stay as they are. Code is made at the first call, once for each shape of batch.
    """
    for encoder in encoders:
        for block in encoder.blocks:
            block.compile(dynamic=False)
