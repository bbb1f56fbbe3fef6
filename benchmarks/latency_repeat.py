"""Do two separate sessions rank encoders the same while another process disturbs them, and how narrow does an interval
get on an idle machine?

Run as `python -m benchmarks.latency_repeat disturbed --out DIR` and `... idle --out DIR`. `disturbed` starts a process
that burns one core in bursts of its own, measures 30 configurations of student-search in two sessions with different
seeds, and compares the ranks of the two: by ratio to the reference, and beside it by plain median milliseconds of the
same samples. `idle` measures 10 configurations until every interval of a ratio is at most 1 % wide or 60 s are up, and
says what makes intervals wide; with `--pin` the measuring thread is kept on one core. A session that DIR holds already
is not measured again.
"""

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from benchmarks.machine import header, machine
from benchmarks.session_noise import noise, noise_text
from model_zoo.config import EncoderConfig
from search.latency.case import LatencyCase
from search.latency.measure import measure_latency
from search.latency.protocol import Protocol
from search.latency.session import LatencySession
from search.latency.stopping import refusal
from search.latency.summary import relative_width, summarise
from search.values import from_json, to_json
from studies.data_specs import known_data_spec
from studies.student_search import STUDY

BURNER = """
import random, time
chance = random.Random(0)
while True:
    end = time.perf_counter() + chance.uniform(0.05, 1.0)
    while time.perf_counter() < end:
        pass
    time.sleep(chance.uniform(0.05, 1.0))
"""
GOAL_TAU, GOAL_WIDTH = 0.95, 0.01


def configurations(count: int, seed: int) -> tuple[dict[str, EncoderConfig], EncoderConfig, LatencyCase]:
    """A random part of the search space at cpu scale, its reference and its case."""
    from search.study import Search, all_configurations

    search = STUDY.declare("cpu", known_data_spec(STUDY.sources("cpu"), Path("runs/data")))
    assert isinstance(search, Search)
    every = {mark: spec.student for mark, spec in all_configurations(search).items()}
    chosen = np.random.default_rng(seed).choice(sorted(every), size=count, replace=False)
    return {str(mark): every[str(mark)] for mark in chosen}, search.baseline.student, search.latency


@contextlib.contextmanager
def burner() -> Iterator[None]:
    """Another process that takes one core in bursts of 0.05 to 1 s, as long between them."""
    with subprocess.Popen([sys.executable, "-c", BURNER]) as process:
        try:
            yield
        finally:
            process.kill()


def session(path: Path, count: int, seed: int, protocol: Protocol, *, smallest: bool = False) -> LatencySession:
    """The session of a file, measured now unless it is there; of single short sequences for `smallest`."""
    if not path.exists():
        configs, reference, case = configurations(count, seed=0)
        if smallest:
            case = replace(case, batch=1, length=8)
        found = measure_latency(configs, reference, case, seed=seed, protocol=protocol)
        path.write_text(json.dumps(to_json(found), allow_nan=False))
    return from_json(LatencySession, json.loads(path.read_text()), place=path.name)


def agreement(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau of two rankings."""
    return float(kendalltau(first, second).statistic)


def disturbed(folder: Path, seconds: float) -> dict[str, Any]:
    """Two sessions of 30 configurations beside the burner, and how they agree."""
    protocol = Protocol(seconds=seconds, interval_width=GOAL_WIDTH)
    sessions = []
    for number in (1, 2):
        with burner():
            sessions.append(session(folder / f"disturbed-{number}.json", 30, number, protocol))
    summaries = [summarise(one) for one in sessions]
    ratios = [[found.ratio.value for found in summary.candidates.values()] for summary in summaries]
    medians = [[found.latency_ms.value for found in summary.candidates.values()] for summary in summaries]
    means = [[float(np.mean(one.series.forward_ns)) for one in found.candidates] for found in sessions]
    return {
        "rounds": [one.rounds for one in sessions],
        "tau_ratio": agreement(*ratios),
        "tau_plain_median": agreement(*medians),
        "tau_plain_mean": agreement(*means),
        "median_ratio_change": float(np.median(np.abs(np.log(np.divide(*ratios))))),
        "median_plain_median_change": float(np.median(np.abs(np.log(np.divide(*medians))))),
        "widest_ratio_interval": [
            max(relative_width(found.ratio) for found in summary.candidates.values()) for summary in summaries
        ],
        "control_width": [relative_width(summary.control.ratio) for summary in summaries],
        "refused": [refusal(protocol, summary) for summary in summaries],
        "goal": GOAL_TAU,
        "load": [[one.conditions.get("load_before"), one.conditions.get("load_after")] for one in sessions],
    }


def idle(folder: Path, seconds: float, *, smallest: bool = False, pin: bool = False) -> dict[str, Any]:
    """One session of 10 configurations on an idle machine.

    It may end a little below the goal only: the last look draws fewer bootstrap samples than the summary does.
    """
    protocol = Protocol(seconds=seconds, interval_width=0.95 * GOAL_WIDTH, pin=pin)
    if smallest:
        protocol = replace(protocol, least_rounds=4, most_rounds=4)
    path = folder / ("idle-pinned.json" if pin else "idle.json")
    found = session(path, 2 if smallest else 10, 3, protocol, smallest=smallest)
    load = [found.conditions.get("load_before"), found.conditions.get("load_after")]
    pinned = {"pinned_core": found.conditions["pinned_core"]} if "pinned_core" in found.conditions else {}
    return noise(found, GOAL_WIDTH) | {"load": load} | pinned


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency_repeat", description=__doc__)
    parser.add_argument("part", choices=("disturbed", "idle"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the sessions")
    parser.add_argument("--seconds", type=float, default=60.0, help="the most one session may take (default 60)")
    parser.add_argument("--pin", action="store_true", help="idle: keep the thread that measures on one core")
    parser.add_argument("--smallest", action="store_true", help="idle: two configurations, to try the benchmark itself")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.part == "disturbed":
        found = disturbed(options.out, options.seconds)
    else:
        found = idle(options.out, options.seconds, smallest=options.smallest, pin=options.pin)
    print(header(machine()))
    if options.part == "idle":
        print(noise_text(found))
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
