"""Does the order of encoders by latency depend on the runtime? Kendall's tau of eager, ONNX float32 and ONNX int8.

Run as `python -m benchmarks.runtime_ranks`. 30 configurations of student-search at cpu scale, each in all three
runtimes, all in the same shuffled rounds. tau-b is between the medians of two runtimes; its 95 % interval draws
configurations anew. Beside it stands how far each runtime agrees with itself, tau between the medians of its odd and
its even rounds: noise alone keeps two rankings from agreeing better than that.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.latency_repeat import configurations
from benchmarks.machine import header, machine
from benchmarks.passes import build, time_passes
from search.latency.case import Runtime
from search.latency.protocol import Protocol

Floats = NDArray[np.float64]
RUNTIMES: tuple[Runtime, ...] = ("eager", "onnx", "onnx-int8")
DRAWS = 2000


def tau(first: Floats, second: Floats) -> float:
    """Kendall's tau-b; NaN where one side has a single value."""
    return float(kendalltau(first, second).statistic)


def agreement(first: Floats, second: Floats, draw: np.random.Generator) -> dict[str, Any]:
    """Tau between two rankings of the same configurations, and its interval over configurations.

    A draw may hold a configuration twice; such a pair is tied on both sides and counts for nothing in tau-b.
    """
    rows = draw.integers(len(first), size=(DRAWS, len(first)))
    low, high = np.nanquantile([tau(first[chosen], second[chosen]) for chosen in rows], [0.025, 0.975])
    return {"tau": tau(first, second), "interval": [float(low), float(high)]}


def judged(call_ns: Mapping[Runtime, Floats]) -> dict[str, Any]:
    """Agreement of every two runtimes, and of each with itself.

    Args:
        call_ns: nanoseconds per pass, (configurations, rounds), by runtime.
    """
    draw = np.random.default_rng(0)
    medians = {runtime: np.median(times, axis=1) for runtime, times in call_ns.items()}
    pairs = [
        {"runtimes": [one, other], **agreement(medians[one], medians[other], draw)}
        for one, other in itertools.combinations(medians, 2)
    ]
    halves = {
        runtime: tau(np.median(times[:, ::2], axis=1), np.median(times[:, 1::2], axis=1))
        for runtime, times in call_ns.items()
        if times.shape[1] >= 2
    }
    spread = {runtime: float(found.max() / found.min()) for runtime, found in medians.items()}
    return {"pairs": pairs, "with_itself": halves, "slowest_over_fastest": spread}


def measure(count: int, protocol: Protocol, *, smallest: bool) -> dict[str, Any]:
    """Time the configurations in all runtimes and judge their ranks."""
    configs, _, case = configurations(count, seed=0)
    if smallest:
        case = replace(case, batch=1, length=8)
        configs = {name: replace(config, num_layers=1, num_feed_forward=1) for name, config in configs.items()}
    with tempfile.TemporaryDirectory() as folder:
        passes = build(configs, case, RUNTIMES, Path(folder))
        timings = time_passes(passes, case.threads, protocol)
    times = {one: np.stack([timings.call_ns[name, one] for name in configs]) for one in RUNTIMES}
    medians = {one: dict(zip(configs, np.median(times[one], axis=1) / 1e6, strict=True)) for one in RUNTIMES}
    found = {"configurations": count, "case": case.label.removeprefix("eager, "), "rounds": timings.rounds}
    return found | judged(times) | {"median_ms": medians}


def table(document: Mapping[str, Any]) -> str:
    """The document for people."""
    lines = [f"{document['configurations']} configurations, {document['case']}, {document['rounds']} rounds"]
    lines.append(f"{'runtimes':24} {'tau':>6}  95 % interval")
    for one in document["pairs"]:
        low, high = one["interval"]
        lines.append(f"{' and '.join(one['runtimes']):24} {one['tau']:6.3f}  {low:.3f} to {high:.3f}")
    for runtime, found in document["with_itself"].items():
        spread = document["slowest_over_fastest"][runtime]
        lines.append(f"{f'{runtime} with itself':24} {found:6.3f}  slowest {spread:.1f} x the fastest")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 2 where it could not measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime_ranks", description=__doc__)
    parser.add_argument("--configurations", type=int, default=30, help="how many are drawn (default 30)")
    parser.add_argument("--seconds", type=float, default=180.0, help="the most for timing (default 180)")
    parser.add_argument("--rounds", type=int, default=200, help="the most samples of every pass (default 200)")
    parser.add_argument("--smallest", action="store_true", help="cut to one block, to try the benchmark itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")
    options = parser.parse_args(arguments)
    if options.configurations < 2:
        parser.error(f"--configurations must be at least 2, got {options.configurations}")
    try:
        protocol = Protocol(least_rounds=1, most_rounds=options.rounds, seconds=options.seconds, interval_width=None)
        found = measure(options.configurations, protocol, smallest=options.smallest)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{header(machine())}\n\n{table(found)}")
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), **found}, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
