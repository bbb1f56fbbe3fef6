"""Under which conditions a latency is measured, as a value."""

from dataclasses import dataclass
from typing import Literal, get_args

Runtime = Literal["eager"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCase:
    """What a latency is a latency of, besides the encoder: two numbers compare only within one case.

    Raises ValueError, naming field and value, for a case that cannot be measured.

    >>> LatencyCase(batch=1, length=128).threads
    1
    """

    runtime: Runtime = "eager"
    """What executes the forward pass; eager is plain torch."""
    device: str = "cpu"
    """As torch names it: cpu, cuda, cuda:1."""
    threads: int = 1
    """Of torch's intra-operator pool; matters on the CPU."""
    batch: int
    """Sequences per forward pass."""
    length: int
    """Tokens per sequence, all of them real."""

    def __post_init__(self) -> None:
        if self.runtime not in get_args(Runtime):
            raise ValueError(f"runtime must be one of {', '.join(get_args(Runtime))}; got {self.runtime!r}")
        if not isinstance(self.device, str) or not self.device:
            raise ValueError(f"device must be a name such as cpu or cuda:0, got {self.device!r}")
        for name in ("threads", "batch", "length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
