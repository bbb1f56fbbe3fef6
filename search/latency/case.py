"""Under which conditions a latency is measured, as a value."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Runtime = Literal["eager", "compile", "cuda-graph", "folded", "onnx", "onnx-int8"]
DEPLOYED: tuple[Runtime, ...] = ("folded", "onnx", "onnx-int8")
"""Runtimes of the folded encoder; on the CPU, in float32 (onnx-int8: from float32)."""
Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCase:
    """What a latency is a latency of, besides the encoder: two numbers compare only within one case.

    Raises ValueError, naming field and value, for a case that cannot be measured.

    >>> LatencyCase(batch=1, length=128).threads
    1
    """

    runtime: Runtime = "eager"
    """What executes the forward pass: `eager` is plain torch, on the CPU or a GPU; `compile` is torch.compile;
    `cuda-graph` replays on a GPU the kernels that were recorded once; `folded` is plain torch on the folded encoder,
    `onnx` and `onnx-int8` (dynamic) are ONNX Runtime on it."""
    device: str = "cpu"
    """As torch names it: cpu, cuda, cuda:1."""
    dtype: Dtype = "float32"
    """Of weights and activations."""
    threads: int = 1
    """Of torch's intra-operator pool; matters on the CPU."""
    batch: int
    """Sequences per forward pass."""
    length: int
    """Tokens per sequence, all of them real."""

    def __post_init__(self) -> None:
        for name, allowed in (("runtime", get_args(Runtime)), ("dtype", get_args(Dtype))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        if not isinstance(self.device, str) or not self.device:
            raise ValueError(f"device must be a name such as cpu or cuda:0, got {self.device!r}")
        for name in ("threads", "batch", "length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if self.runtime == "cuda-graph" and self.device == "cpu":
            raise ValueError("runtime cuda-graph needs a GPU, got device 'cpu'; use device cuda or runtime eager")
        if self.runtime in DEPLOYED and (self.device != "cpu" or self.dtype != "float32"):
            raise ValueError(
                f"runtime {self.runtime} is for float32 on the CPU, got {self.dtype} on {self.device!r}; use eager"
            )

    @property
    def label(self) -> str:
        """The case in a few words.

        >>> LatencyCase(batch=1, length=128).label
        'eager, cpu, 1 thread, 1 x 128'
        """
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        parts = [self.runtime, self.device, *([self.dtype] if self.dtype != "float32" else []), threads]
        return ", ".join([*parts, f"{self.batch} x {self.length}"])

    def on(self, device: str) -> "LatencyCase":
        """The same case on a device; what is deployed is timed on the CPU, wherever the study trains.

        >>> LatencyCase(runtime="onnx", batch=1, length=128).on("cuda").device
        'cpu'
        """
        return replace(self, device="cpu" if self.runtime in DEPLOYED else device)


PAPER = LatencyCase(batch=1, length=128)
"""One sequence of 128 tokens: Sun et al. 2020, section 4.2 and Table 4."""
MOBILE = LatencyCase(batch=1, length=384)
"""One question with its passage: the shape of MLPerf Mobile's language task."""
SERVER = LatencyCase(batch=32, length=128)
"""A batch as a server forms it: arithmetic, not launches, decides."""
STANDARD_CASES = {"paper": PAPER, "mobile": MOBILE, "server": SERVER}


def case_conditions(case: LatencyCase) -> dict[str, Any]:
    """The conditions that a measurement names; the data type only where it is not float32."""
    found: dict[str, Any] = {
        "runtime": case.runtime,
        "device": case.device,
        "threads": case.threads,
        "batch": case.batch,
        "length": case.length,
    }
    return found if case.dtype == "float32" else found | {"dtype": case.dtype}
