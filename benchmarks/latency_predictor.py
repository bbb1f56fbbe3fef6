"""How well do 50 measured configurations predict 100 others on this device?

Run as `python -m benchmarks.latency_predictor --out DIR`. The space varies depth, bottleneck, heads and stacks; 50
configurations that cover it are measured, then 100 drawn at random from the rest, each in sessions of 25 beside the
same reference. The predictor, a line in the parameters and a line in the FLOPs are fitted on the 50 and judged on the
100. A session that DIR holds already is not measured again; --sessions N stops after N new ones.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import header, machine
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from search.latency.case import LatencyCase
from search.latency.features import features
from search.latency.measure import measure_latency
from search.latency.predictor import Features, agreement, cover, fit, predict
from search.latency.protocol import fixed_rounds
from search.latency.session import LatencySession
from search.latency.summary import relative_width, summarise
from search.values import from_json, to_json

CASE = LatencyCase(batch=1, length=128)
REFERENCE = EncoderConfig(
    num_layers=6,
    hidden_size=256,
    bottleneck_size=64,
    num_heads=4,
    num_feed_forward=4,
    feed_forward_size=256,
    norm="no_norm",
    activation="relu",
    embedding_size=64,
    vocab_size=8000,
    max_positions=128,
)
ROUNDS, PER_SESSION, MEASURED, HELD_OUT = 20, 25, 50, 100
GOAL_ERROR, GOAL_RANK = 0.05, 0.9


def space() -> dict[str, EncoderConfig]:
    """Depth 2 to 12, bottleneck 32 to 192, 1 to 8 heads, 1 to 6 stacks: 480 configurations."""
    found = {}
    choices = itertools.product((2, 4, 6, 8, 12), (32, 48, 64, 96, 128, 192), (1, 2, 4, 8), (1, 2, 4, 6))
    for depth, narrow, heads, stacks in choices:
        found[f"{depth}-{narrow}-{heads}-{stacks}"] = replace(
            REFERENCE,
            num_layers=depth,
            bottleneck_size=narrow,
            num_heads=heads,
            num_feed_forward=stacks,
            feed_forward_size=4 * narrow,
        )
    return found


def only_parameters(config: EncoderConfig, case: LatencyCase) -> Mapping[str, float]:
    """A line in the number of parameters without the vocabulary's table, which no pass reads whole."""
    table = config.vocab_size * config.embedding_size
    return {"once": 1.0, "parameters": (cost(config, case.length).parameters - table) / 1e6}


def only_flops(config: EncoderConfig, case: LatencyCase) -> Mapping[str, float]:
    """A line in the FLOPs."""
    return {"once": 1.0, "FLOPs": cost(config, case.length).flops / 1e6}


def measured(folder: Path, names: Sequence[str], label: str, left: list[int]) -> dict[str, float]:
    """Ratios to the reference by name, in sessions of 25; what was not measured yet is, while `left` allows."""
    every, found = space(), {}
    for start in range(0, len(names), PER_SESSION):
        path = folder / f"{label}-{start // PER_SESSION}.json"
        if not path.exists():
            if left[0] < 1:
                continue
            left[0] -= 1
            wanted = {name: every[name] for name in names[start : start + PER_SESSION]}
            session = measure_latency(wanted, REFERENCE, CASE, seed=start, protocol=fixed_rounds(ROUNDS))
            path.write_text(json.dumps(to_json(session), allow_nan=False))
        summary = summarise(from_json(LatencySession, json.loads(path.read_text()), place=path.name))
        print(f"{path.name}: A/A interval {relative_width(summary.control.ratio):.4f} wide", file=sys.stderr)
        found |= {name: one.ratio.value for name, one in summary.candidates.items()}
    return found


def judge(fitted: dict[str, float], held_out: dict[str, float]) -> list[dict[str, Any]]:
    """One row per predictor."""
    every, rows = space(), []
    kinds: list[tuple[str, Features]] = [
        ("linear in operations and sizes", features),
        ("parameters only", only_parameters),
        ("FLOPs only", only_flops),
    ]
    configs = [every[name] for name in held_out]
    for kind, described in kinds:
        model = fit([every[name] for name in fitted], list(fitted.values()), CASE, described)
        guesses = [predict(model, config, CASE, described) for config in configs]
        found = agreement(configs, [guess.value for guess in guesses], list(held_out.values()))
        inside = [guess.low <= truth <= guess.high for guess, truth in zip(guesses, held_out.values(), strict=True)]
        rows.append({"predictor": kind, **to_json(found), "inside_95_interval": float(np.mean(inside))})
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency_predictor", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the sessions")
    parser.add_argument("--sessions", type=int, default=100, help="the most sessions to measure in this call")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    every, left = space(), [options.sessions]
    chosen = cover(every, CASE, MEASURED, seed=0)
    rest = sorted(set(every) - set(chosen))
    drawn = [str(name) for name in np.random.default_rng(1).choice(rest, size=HELD_OUT, replace=False)]
    fitted, held_out = measured(options.out, chosen, "measured", left), measured(options.out, drawn, "held-out", left)
    print(header(machine()))
    print(f"{len(fitted)} measured, {len(held_out)} held out; goals: error {GOAL_ERROR}, rank in strata {GOAL_RANK}")
    if len(held_out) >= 3:
        print(json.dumps(judge(fitted, held_out), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
