"""How a training uses its machine, as a value. Nothing here is part of a trial: it is in no fingerprint.

On the CPU the two that a run switches on by itself, `lookahead` and `outputs_bytes`, change no bit of a result;
`precision` rounds differently, and stays float32 unless someone who holds the value asks for bfloat16.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Precision = Literal["float32", "bfloat16"]


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

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"precision must be float32 or bfloat16, got {self.precision!r} (float16 is refused: without "
                "normalisation activations grow beyond its 65,504 and the loss becomes NaN)"
            )
        if self.outputs_bytes < 0:
            raise ValueError(f"outputs_bytes must be at least 0, got {self.outputs_bytes}")


OFF = Acceleration()
