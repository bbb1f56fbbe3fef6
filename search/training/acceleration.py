"""How a training uses its machine, as a value. Nothing here is part of a trial: it is in no fingerprint.

A run or its workers switch three on by themselves on the CPU. `lookahead` and `outputs_bytes` change no bit of a
result, and neither does `prefetch`; `products` rounds as another processor would, still in float32. `precision` and
`compiled` differ by more, and are off unless someone asks for them (`thinbert run --accelerate`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

Precision = Literal["float32", "bfloat16"]
Compiled = Literal["nothing", "blocks", "graphs"]
Products = Literal["torch", "onednn"]
ASKED = ("compile", "graphs", "prefetch", "bfloat16")
"""What `accelerated` knows."""


class Ranks(NamedTuple):
    """Which of several processes that train one trial this is (`search/training/ranks.py`)."""

    rank: int = 0
    size: int = 1
    """How many there are."""


ALONE = Ranks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """What is on; all of it is off by default."""

    lookahead: bool = False
    """Prepare the next update's batch and teacher outputs in a second thread: for a process with two cores."""
    outputs: Path | None = None
    """The folder where teacher outputs are kept for the other trials of the seed; None keeps none."""
    outputs_bytes: int = 2**30
    """What that folder may hold; what does not fit is computed as if there were no folder."""
    precision: Precision = "float32"
    """Of the matrix products; weights, norms, residual sums, losses and optimizer stay float32."""
    compiled: Compiled = "nothing"
    """`blocks`: torch.compile of one block, used for all of them; `graphs`: its kernels as CUDA graphs too."""
    products: Products = "torch"
    """Which library multiplies large float32 matrices on the CPU (`search/training/products.py`)."""
    prefetch: bool = False
    """Draw the next update's batch in a second thread, and copy it to a GPU from pinned memory without waiting."""
    ranks: Ranks = ALONE
    """Each process takes its part of every batch."""

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"precision must be float32 or bfloat16, got {self.precision!r} (float16 is refused: without "
                "normalisation activations grow beyond its 65,504 and the loss becomes NaN)"
            )
        if self.compiled not in get_args(Compiled):
            raise ValueError(f"compiled must be one of {', '.join(get_args(Compiled))}; got {self.compiled!r}")
        if self.products not in get_args(Products):
            raise ValueError(f"products must be torch or onednn, got {self.products!r}")
        if self.outputs_bytes < 0:
            raise ValueError(f"outputs_bytes must be at least 0, got {self.outputs_bytes}")

    @property
    def named(self) -> tuple[str, ...]:
        """What is on of `ASKED`."""
        compiles, graphs = self.compiled != "nothing", self.compiled == "graphs"
        on = (compiles and not graphs, graphs, self.prefetch, self.precision == "bfloat16")
        return tuple(name for name, is_on in zip(ASKED, on, strict=True) if is_on)


OFF = Acceleration()


def accelerated(text: str, device: str) -> Acceleration:
    """What a user asks for, as names between commas; "" is nothing.

    Raises:
        ValueError: an unknown name, or what the device cannot do.

    >>> accelerated("compile,prefetch", "cpu").named
    ('compile', 'prefetch')
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(names.difference(ASKED))
    if unknown:
        raise ValueError(f"--accelerate takes {', '.join(ASKED)} between commas; got {unknown[0]!r}")
    compiled: Compiled = "graphs" if "graphs" in names else "blocks" if "compile" in names else "nothing"
    found = Acceleration(
        compiled=compiled,
        prefetch="prefetch" in names,
        precision="bfloat16" if "bfloat16" in names else "float32",
    )
    check_device(found, device)
    return found


def check_device(acceleration: Acceleration, device: str) -> None:
    """Raises ValueError where the device cannot do what is on."""
    if acceleration.compiled == "graphs" and device != "cuda":
        raise ValueError(
            f"CUDA graphs record the kernels of a GPU, got device {device}; use compile in place of graphs, or a GPU"
        )
