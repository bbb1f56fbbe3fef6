"""Measure how long encoders take, and how much memory this process took.

Nothing else should run meanwhile: the driver measures while nothing trains, and one machine's measurements exclude each
other.
"""

import datetime
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from model_zoo.config import EncoderConfig
from model_zoo.student import Student
from search.allocator import keep_freed_memory
from search.latency.case import DEPLOYED, LatencyCase
from search.latency.energy import energy_counters, energy_joules, gpu_energy_counters
from search.latency.interleave import Timed, interleave
from search.latency.lock import measurement_lock
from search.latency.protocol import Protocol
from search.latency.quiet import pinned, quiet
from search.latency.runtimes import check_fit, check_runtime, check_threads, forward
from search.latency.session import LatencySeries, LatencySession, NamedSeries, Outcome, Unmeasured
from search.latency.stopping import refusal, stopper
from search.latency.summary import summarise
from search.latency.surroundings import load_average, surroundings

Forwards = dict[str, Callable[[], None]]


def measure_until_kept(
    configs: Mapping[str, Student],
    reference: Student,
    case: LatencyCase,
    *,
    seed: int,
    protocol: Protocol,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """`measure_latency`, again (with other orders) while the A/A control refuses the session, `protocol.repeats` times
    at most."""
    refused: list[str] = []
    for attempt in range(1 + protocol.repeats):
        again = seed if attempt == 0 else seed + 1_000_003 * attempt
        session = measure_latency(configs, reference, case, seed=again, protocol=protocol, progress=progress)
        reason = refusal(protocol, summarise(session))
        if reason is None:
            return Outcome(replace(session, refused=tuple(refused)), tuple(refused))
        refused.append(reason)
    return Outcome(None, tuple(refused))


def measure_latency(
    configs: Mapping[str, Student],
    reference: Student,
    case: LatencyCase,
    *,
    seed: int,
    protocol: Protocol,
    progress: Callable[[int, int], None] | None = None,
) -> LatencySession:
    """Time the forward passes of all encoders, the reference, and a second copy of the reference, interleaved.

    Every round times each of them once, in an order of its own; a sample is as many passes as last 5 ms. Waits for any
    other measurement on this machine. torch's thread count is set for the call and restored; from the call on the
    process keeps freed memory (`keep_freed_memory`). A candidate that cannot be built or run is left out and named in
    `unmeasured`.

    Args:
        configs: candidates by name.
        reference: what ratios refer to; built twice, so that an A/A control tells what the noise is.
        case: runtime, device, threads, batch and length.
        seed: of orders, weights and token ids.
        protocol: rounds, time and widths; whether the session is kept is for the caller (`measure_until_kept`).
        progress: called with (rounds done, rounds in all).

    Raises:
        ValueError: a runtime or GPU that is not there, or a reference that cannot be measured.
    """
    check_runtime(case)
    with measurement_lock() as waited_seconds, quiet(case.threads), torch.inference_mode():
        conditions: dict[str, Any] = {"started": _now(), "waited_seconds": waited_seconds}
        conditions["keeps_freed_memory"] = keep_freed_memory()
        forwards, unmeasured = _build(configs, reference, case, seed)
        conditions |= _present(load_before=load_average())
        energy, gpu_energy = energy_counters(), gpu_energy_counters(case.device)
        with pinned(protocol.pin and case.threads == 1 and case.device == "cpu") as core:
            timed = interleave(
                list(forwards.values()),
                rounds=protocol.most_rounds,
                warmup=protocol.warmup,
                seed=seed,
                enough=stopper(protocol),
                progress=progress,
            )
        conditions |= _present(
            pinned_core=core,
            session_energy_joules=energy_joules(energy, energy_counters()),
            session_gpu_energy_joules=energy_joules(gpu_energy, gpu_energy_counters(case.device)),
        )
        conditions |= surroundings(case) | _present(load_after=load_average())
        conditions["finished"] = _now()
    measured = {name: configs[name] for name in list(forwards)[2:]}
    series = _series([reference, reference, *measured.values()], timed)
    return LatencySession(
        case=case,
        reference=series[0],
        control=series[1],
        candidates=tuple(NamedSeries(name=name, series=one) for name, one in zip(measured, series[2:], strict=True)),
        orders=timed.orders,
        seed=seed,
        warmup=protocol.warmup,
        conditions=conditions,
        protocol=protocol,
        unmeasured=unmeasured,
    )


def check_measurable(reference: Student, case: LatencyCase) -> None:
    """Refuse, before anything trains, a case in which a search's reference could not be measured.

    What is deployed is exported and run once; the other runtimes are looked for, and memory counted.

    Raises:
        ValueError: a runtime, GPU or cores that are not there, a batch that does not fit, or a failed export.
    """
    check_threads(case)
    try:
        check_runtime(case)
        if isinstance(reference, EncoderConfig):
            check_fit(reference, case)
        if case.runtime in DEPLOYED:
            with torch.inference_mode():
                forward(reference, case, seed=0)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"latency cannot be measured in {case.runtime}: {_first_line(error)}") from error


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


def _build(
    configs: Mapping[str, Student], reference: Student, case: LatencyCase, seed: int
) -> tuple[Forwards, tuple[Unmeasured, ...]]:
    """What is timed: reference, control, then the candidates that can be run; and why others cannot."""
    forwards: Forwards = {}
    for name in ("the reference", "the A/A control"):
        try:
            forwards[name] = forward(reference, case, seed)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{name} cannot be measured: {_first_line(error)}") from error
    unmeasured: list[Unmeasured] = []
    for name, config in configs.items():
        try:
            forwards[name] = forward(config, case, seed)
        except (ValueError, RuntimeError) as error:  # RuntimeError: torch's, out of memory and failed compilation too
            unmeasured.append(Unmeasured(name=name, reason=_first_line(error)))
    return forwards, tuple(unmeasured)


def _series(configs: list[Student], timed: Timed) -> list[LatencySeries]:
    return [
        LatencySeries(config=config, repeats=repeats, forward_ns=samples)
        for config, repeats, samples in zip(configs, timed.repeats, timed.call_ns, strict=True)
    ]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _present(**values: Any) -> dict[str, Any]:
    """The values that are there."""
    return {name: value for name, value in values.items() if value is not None}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
