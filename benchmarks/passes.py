"""Encoders in several runtimes, all in the same shuffled, interleaved rounds; each is exported to ONNX once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model_zoo.config import EncoderConfig
from search.allocator import keep_freed_memory
from search.latency.case import LatencyCase, Runtime
from search.latency.interleave import interleave
from search.latency.lock import measurement_lock
from search.latency.protocol import Protocol
from search.latency.quiet import quiet
from search.latency.runtimes import check_runtime, forward
from search.latency.stopping import stopper
from search.latency.summary import Estimate, estimates

Name = tuple[str, Runtime]
Passes = dict[Name, Callable[[], None]]
AGAIN = " again"
"""Ends the name of the A/A control: the first encoder's pass, timed once more in every round."""


class Timings(NamedTuple):
    """What one session measured."""

    call_ns: dict[Name, NDArray[np.float64]]
    """Nanoseconds per pass in each round."""
    rounds: int


def build(configs: Mapping[str, EncoderConfig], case: LatencyCase, runtimes: Sequence[Runtime], folder: Path) -> Passes:
    """A pass of every encoder in every runtime, with random weights.

    Args:
        folder: keeps the ONNX files, those of the encoder at place i in `folder / str(i)`.

    Raises:
        ValueError: a runtime that is not there, or an encoder that cannot be run in it.
    """
    for runtime in runtimes:
        check_runtime(replace(case, runtime=runtime))
    found: Passes = {}
    torch.set_num_threads(case.threads)
    with torch.inference_mode():
        for place, (name, config) in enumerate(configs.items()):
            files = folder / str(place)
            files.mkdir()
            for runtime in runtimes:
                found[name, runtime] = forward(config, replace(case, runtime=runtime), seed=0, folder=files)
    return found


def time_passes(passes: Passes, threads: int, protocol: Protocol, *, seed: int = 0) -> Timings:
    """Time all passes, and the first encoder's once more in every runtime, in one session.

    Waits for any other measurement on this machine, and measures as `thinbert measure` does: on `threads` threads,
    without garbage collection, with freed memory kept, a sample being as many passes as last 5 ms.
    """
    first = next(iter(passes))[0]
    controls = {(f"{name}{AGAIN}", runtime): run for (name, runtime), run in passes.items() if name == first}
    every = {**passes, **controls}
    with measurement_lock(), quiet(threads), torch.inference_mode():
        keep_freed_memory()
        timed = interleave(
            list(every.values()),
            rounds=protocol.most_rounds,
            warmup=protocol.warmup,
            seed=seed,
            enough=stopper(protocol),
        )
    samples = {name: np.array(series) for name, series in zip(every, timed.call_ns, strict=True)}
    return Timings(samples, len(timed.orders))


def ratio(timings: Timings, name: Name, reference: Name) -> Estimate:
    """The median of the ratios of one pass to another in the same round, with its interval."""
    times = timings.call_ns
    (found,) = estimates(times[name][None] / times[reference][None])
    return found


def milliseconds(timings: Timings, name: Name) -> float:
    """The median of a pass."""
    return float(np.median(timings.call_ns[name])) / 1e6
