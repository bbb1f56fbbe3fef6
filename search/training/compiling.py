"""Regional compilation: one block of an encoder is compiled, and what comes out serves all of its blocks.

All blocks run the same code on weights of the same shapes, so that torch's compiler, which takes weights as inputs,
finds every block after the first in its cache. Embeddings, heads, losses and optimizer stay as they are.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_zoo.encoder import Encoder
from search.training.acceleration import Compiled

VARIANTS = 64
"""Compiled forms of one block that a training may need: with and without scores, gradients, dropout, by length."""


def compile_blocks(encoder: Encoder, compiled: Compiled, *, backend: str = "inductor") -> None:
    """Have an encoder's blocks compiled when they first run; names and values of its tensors stay the same.

    A training that meets more forms than `VARIANTS` runs the others without compilation.
    """
    if compiled == "nothing":
        return
    torch._dynamo.config.recompile_limit = VARIANTS
    options: dict[str, Any] = {}
    if backend == "inductor":
        # One compiler thread: a worker is a daemon, which may have no processes of its own. Dropout as eager draws it.
        options = {"compile_threads": 1, "fallback_random": True} | (
            {"triton.cudagraphs": True} if compiled == "graphs" else {}
        )
    for block in encoder.blocks:
        block.compile(backend=backend, options=options or None)


def in_graphs(loss: Callable[[int], Tensor], compiled: Compiled) -> Callable[[int], Tensor]:
    """A stage's loss, each update of which may overwrite the memory of the one before."""
    if compiled != "graphs":
        return loss

    def marked(step: int) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return loss(step)

    return marked
