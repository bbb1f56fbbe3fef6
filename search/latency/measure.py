"""Measure how long encoders take, and how much memory this process took. The only part of latency that needs torch.

Weights are random: latency does not depend on them as long as no number is subnormal or not finite, and with BERT's
initialisation none is. Nothing else should run meanwhile: the driver measures while nothing trains, and one machine's
measurements exclude each other.
"""

import contextlib
import datetime
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from model_zoo.config import EncoderConfig
from model_zoo.encoder import Encoder
from search.allocator import keep_freed_memory
from search.latency.case import LatencyCase
from search.latency.interleave import interleave
from search.latency.lock import measurement_lock
from search.latency.session import LatencySeries, LatencySession, NamedSeries
from search.provenance import provenance


def measure_latency(
    configs: Mapping[str, EncoderConfig],
    reference: EncoderConfig,
    case: LatencyCase,
    *,
    seed: int,
    rounds: int,
    warmup: int,
    progress: Callable[[int, int], None] | None = None,
) -> LatencySession:
    """Time the forward passes of all encoders, the reference, and a second copy of the reference, interleaved.

    Every round times each of them once, in an order of its own; a sample is as many passes as last 5 ms. Waits for any
    other measurement on this machine. torch's thread count is set for the call and restored; from the call on the
    process keeps freed memory (`keep_freed_memory`).

    Args:
        configs: candidates by name.
        reference: what ratios refer to; built twice, so that an A/A control tells what the noise is.
        case: device, threads, batch and length.
        seed: of orders, weights and token ids.
        rounds: samples of each encoder.
        warmup: rounds before that are thrown away.
        progress: called with (rounds done, rounds in all).

    Raises:
        ValueError: an encoder shorter than the case's length, a GPU that is not there, or outputs that are not finite.
    """
    built = {"the reference": reference, "the A/A control": reference, **configs}
    _check(built, case)
    with measurement_lock() as waited_seconds, _quiet(case.threads), torch.inference_mode():
        before, started, keeps_memory = _load_average(), _now(), keep_freed_memory()
        forwards = [_forward(name, config, case, seed) for name, config in built.items()]
        timed = interleave(forwards, rounds=rounds, warmup=warmup, seed=seed, progress=progress)
        conditions = _conditions(case) | {"started": started, "finished": _now(), "waited_seconds": waited_seconds}
        conditions["keeps_freed_memory"] = keeps_memory
        after = _load_average()
    conditions |= ({"load_before": before} if before else {}) | ({"load_after": after} if after else {})
    series = [
        LatencySeries(config=config, repeats=repeats, forward_ns=samples)
        for config, repeats, samples in zip(built.values(), timed.repeats, timed.call_ns, strict=True)
    ]
    return LatencySession(
        case=case,
        reference=series[0],
        control=series[1],
        candidates=tuple(NamedSeries(name=name, series=one) for name, one in zip(configs, series[2:], strict=True)),
        orders=timed.orders,
        seed=seed,
        warmup=warmup,
        conditions=conditions,
    )


def peak_memory_bytes() -> int | None:
    """The most memory this process has held at once (resident set), in bytes; None where the system does not say.

    Linux tells it in the process's own status. Elsewhere getrusage does: in bytes on macOS, in kilobytes on other
    systems (on Linux too, but there a child starts with the peak of the process that launched it). It does not fall: in
    a process that served several trials it is the peak of all of them. Linux counts to about 0.1 %.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _check(configs: Mapping[str, EncoderConfig], case: LatencyCase) -> None:
    for name, config in configs.items():
        if case.length > config.max_positions:
            raise ValueError(
                f"latency at length {case.length} needs max_positions of at least that, got {config.max_positions} for "
                f"{name}; shorten the case or lengthen the encoder"
            )
    if case.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"latency on {case.device!r} needs a GPU that torch sees, found none; use device cpu")


@contextlib.contextmanager
def _quiet(threads: int) -> Iterator[None]:
    """Run with `threads` torch threads and without garbage collection, then as before."""
    threads_before, collected_before = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        if collected_before:
            gc.enable()


def _forward(name: str, config: EncoderConfig, case: LatencyCase, seed: int) -> Callable[[], None]:
    """A function that runs one forward pass of an encoder with random weights and returns when it is done."""
    device = torch.device(case.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config).eval().requires_grad_(False).to(device)
        token_ids = torch.randint(config.vocab_size, (case.batch, case.length)).to(device)
    mask = torch.ones_like(token_ids, dtype=torch.bool)
    token_types = torch.zeros_like(token_ids)

    def forward() -> None:
        encoder(token_ids, mask, token_types)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    if not encoder(token_ids, mask, token_types).feature_maps[-1].isfinite().all():
        raise ValueError(f"latency needs finite activations, {name} with random weights gives others; check its config")
    return forward


def _conditions(case: LatencyCase) -> dict[str, Any]:
    return provenance(device=case.device, threads=torch.get_num_threads()) | {
        "interop_threads": torch.get_num_interop_threads()
    }


def _load_average() -> list[float] | None:
    """Mean number of runnable processes over 1, 5 and 15 minutes; None where the system has none."""
    try:
        return list(os.getloadavg())
    except (AttributeError, OSError):
        return None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
