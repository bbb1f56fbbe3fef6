"""The paper's Table 7 here: what NoNorm and relu save at full MobileBERT size, in each runtime.

Run as `python -m benchmarks.operational_optimisations [--runtime eager --runtime compile] [--profile]`. Ratios are to
LayerNorm & gelu, beside the paper's (Sun et al. 2020, Table 7: 192, 167, 92 and 62 ms on a phone). `--profile` adds
where the time goes, by operation.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.machine import header, machine
from model_zoo.config import EncoderConfig
from model_zoo.presets import PRESETS
from search.latency.case import PAPER
from search.latency.measure import measure_latency
from search.latency.protocol import fixed_rounds
from search.latency.runtimes import forward
from search.latency.summary import EncoderLatency, summarise

PUBLISHED_MS = {
    "LayerNorm & gelu": 192,
    "LayerNorm & relu": 167,
    "NoNorm & gelu": 92,
    "NoNorm & relu": 62,
}


def variants() -> dict[str, EncoderConfig]:
    """The four rows of the table at MobileBERT's own size."""
    base = PRESETS["mobilebert"]()
    return {
        "LayerNorm & gelu": replace(base, norm="layer_norm", activation="gelu"),
        "LayerNorm & relu": replace(base, norm="layer_norm", activation="relu"),
        "NoNorm & gelu": replace(base, norm="no_norm", activation="gelu"),
        "NoNorm & relu": replace(base, norm="no_norm", activation="relu"),
    }


def measured(runtime: Any, threads: int, rounds: int) -> dict[str, EncoderLatency]:
    """The four in one session, ratios to the first."""
    configs = variants()
    case = replace(PAPER, runtime=runtime, threads=threads)
    reference = configs["LayerNorm & gelu"]
    session = measure_latency(configs, reference, case, seed=0, protocol=fixed_rounds(rounds))
    return summarise(session).candidates


def operations(config: EncoderConfig, threads: int) -> dict[str, float]:
    """Share of an eager pass by operation, the seven largest."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        run = forward(config, replace(PAPER, threads=threads), seed=0)
        run()
        with torch.profiler.profile() as profiler:
            for _ in range(5):
                run()
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    largest = sorted(events, key=lambda event: -event.self_cpu_time_total)[:7]
    return {event.key: event.self_cpu_time_total / total for event in largest}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operational_optimisations", description=__doc__)
    parser.add_argument("--runtime", action="append", help="eager (default) or compile; several times for several")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="also say where the time goes, eager")
    options = parser.parse_args(arguments)
    print(header(machine()))
    for runtime in options.runtime or ["eager"]:
        print(f"\n{runtime}, {options.threads} threads, 1 x 128, {options.rounds} rounds")
        print(f"{'':18} {'ms':>8} {'ratio':>7}  95 % interval   paper")
        for name, found in measured(runtime, options.threads, options.rounds).items():
            interval = found.ratio.interval
            spread = "-" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"
            published = PUBLISHED_MS[name] / PUBLISHED_MS["LayerNorm & gelu"]
            print(f"{name:18} {found.latency_ms.value:8.1f} {found.ratio.value:7.3f}  {spread}  {published:.2f}")
    for name, config in variants().items() if options.profile else ():
        shares = ", ".join(f"{key} {100 * share:.0f} %" for key, share in operations(config, options.threads).items())
        print(f"{name}: {shares}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
