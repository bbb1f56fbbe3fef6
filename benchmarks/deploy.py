"""How fast MobileBERT runs as it would be deployed: transformers' against this project's forms, side by side.

Run as `python -m benchmarks.deploy`. Random weights, the released architecture, batch 1, every form in the same
shuffled, interleaved rounds; medians, and ratios of times of the same round. Shares of the peak are useful FLOPs
(`model_zoo.cost`) per second over the fastest float32 matrix product of the same rounds, for int8 too, which may
therefore exceed 1. The floor is the ratio that a form would have at that peak. Needs transformers and `thinbert[onnx]`;
export and compilation come before the timing and take minutes.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import header, machine
from benchmarks.profiles import eager_profile, onnx_profile, profile_text
from search.allocator import keep_freed_memory
from search.latency.interleave import interleave
from search.latency.summary import estimates

GOALS = (
    ("eager", ("folded and packed eager",), 0.75),
    ("ONNX float32", ("ONNX float32",), 0.85),
    ("int8", ("ONNX dynamic int8", "ONNX static int8"), 0.5),
)
"""Name, the forms of which the best counts, and the most that its ratio to its peer may be."""


def rows_of(
    peers: Mapping[str, str | None], samples: Mapping[str, Sequence[float]], flops: int, peak: float
) -> list[dict[str, Any]]:
    """One row per form.

    Args:
        peers: every form and the one that it is compared with.
        samples: nanoseconds per call in each round, by form.
        flops: of one call.
        peak: FLOPs per second.
    """
    times = {name: np.array(samples[name]) for name in peers}
    medians = estimates(np.stack(list(times.values())) / 1e6)
    ratios = estimates(np.stack([times[name] / times[peer or name] for name, peer in peers.items()]))
    by_name = {name: one.value for name, one in zip(peers, medians, strict=True)}
    rows: list[dict[str, Any]] = []
    for (name, peer), ratio in zip(peers.items(), ratios, strict=True):
        row: dict[str, Any] = {"form": name, "peer": peer, "median_ms": by_name[name]}
        row |= {"min_ms": float(times[name].min()) / 1e6, "share_of_peak": flops / (by_name[name] / 1e3) / peak}
        if peer is not None:
            bounds = None if ratio.interval is None else [ratio.interval.low, ratio.interval.high]
            row |= {"ratio": ratio.value, "ratio_interval": bounds, "floor": flops / peak * 1e3 / by_name[peer]}
        rows.append(row)
    return rows


def goals(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each goal with the best of its forms."""
    by_name = {row["form"]: row for row in rows}
    found = []
    for name, candidates, limit in GOALS:
        best = min((by_name[one] for one in candidates), key=lambda row: row["ratio"])
        reached = {"goal": name, "limit": limit, "met": best["ratio"] <= limit}
        found.append(reached | {key: best[key] for key in ("form", "peer", "ratio", "ratio_interval", "floor")})
    return found


def measure(fields: Mapping[str, Any], lengths: Sequence[int], rounds: int, threads: int) -> list[dict[str, Any]]:
    """One document per length: rows, goals, matrix products, and a profile for every goal that was missed.

    Args:
        fields: of transformers' MobileBertConfig, beside its defaults.
        lengths: tokens.
        rounds: samples of every form.
        threads: of torch and of ONNX Runtime.
    """
    import torch

    from benchmarks.deployed_forms import build, random_inputs

    keep_freed_memory()
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        models = build(fields, Path(name), seed=0, max_length=max(lengths))
        with torch.inference_mode():
            generator = np.random.default_rng(1)
            return [
                _measure_length(models, random_inputs(models.config, length, generator), rounds, threads)
                for length in lengths
            ]


def _measure_length(models: Any, inputs: Any, rounds: int, threads: int) -> dict[str, Any]:
    from benchmarks.deployed_forms import PEERS, forms, matrix_products
    from model_zoo.cost import cost

    length = inputs.input_ids.shape[1]
    calls, products = forms(models, inputs, threads=threads), matrix_products()
    errors = errors_against({name: call() for name, call in calls.items()}, "transformers eager")
    functions: dict[str, Callable[[], object]] = {**calls, **{name: call for name, (call, _) in products.items()}}
    timed = interleave(list(functions.values()), rounds=rounds, warmup=2, seed=0)
    samples = dict(zip(functions, timed.call_ns, strict=True))
    speeds = {name: flops / float(np.median(samples[name])) * 1e9 for name, (_, flops) in products.items()}
    flops = cost(models.config, length).flops
    rows = rows_of(PEERS, samples, flops, max(speeds.values()))
    for row in rows:
        row["error"] = errors[row["form"]]
    reached = goals(rows)
    for goal in (one for one in reached if not one["met"]):
        form = goal["form"]
        onnx = form in models.files
        goal["profile_ms"] = (
            onnx_profile(models.files[form], inputs, threads=threads) if onnx else eager_profile(calls[form])
        )
    document = {"length": length, "flops": flops, "matrix_products_flops_per_second": speeds}
    return document | {"rows": rows, "goals": reached}


def errors_against(outputs: Mapping[str, Any], reference: str) -> dict[str, float]:
    """max|a - b| / max|b| of every output, b being the reference's."""
    other = outputs[reference]
    largest = float(np.abs(other).max())
    return {name: float(np.abs(output - other).max()) / largest for name, output in outputs.items()}


def table(document: Mapping[str, Any]) -> str:
    """One length for people."""
    speeds = document["matrix_products_flops_per_second"]
    best = max(speeds, key=speeds.__getitem__)
    lines = [
        f"length {document['length']}: {document['flops'] / 1e9:.2f} GFLOP, peak {speeds[best] / 1e9:.0f} GFLOP/s "
        f"({best}), at which a call takes {document['flops'] / speeds[best] * 1e3:.1f} ms",
        f"{'form':31}{'median':>9}{'min':>8}  {'of peak':>7}  {'ratio':>6} {'95 % interval':>15} {'floor':>6}  "
        f"{'error':>7}  peer",
    ]
    for row in document["rows"]:
        ratio = f"{'-':>6} {'-':>15} {'-':>6}"
        if row["peer"] is not None:
            ratio = f"{row['ratio']:6.3f} {_interval(row['ratio_interval']):>15} {row['floor']:6.3f}"
        lines.append(
            f"{row['form']:31}{row['median_ms']:6.1f} ms{row['min_ms']:8.1f}  {row['share_of_peak']:7.2f}  {ratio}  "
            f"{row['error']:7.0e}  {row['peer'] or '-'}"
        )
    for goal in document["goals"]:
        verdict = "met" if goal["met"] else "MISSED"
        lines.append(
            f"goal {goal['goal']}: at most {goal['limit']} of {goal['peer']}, got {goal['ratio']:.3f} "
            f"{_interval(goal['ratio_interval'])} ({goal['form']}, floor {goal['floor']:.3f}): {verdict}"
        )
        if "profile_ms" in goal:
            lines.append(f"  its profile, {profile_text(goal['profile_ms'])}")
    return "\n".join(lines)


def _interval(bounds: Sequence[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 2 where it could not measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the tables")
    parser.add_argument("--rounds", type=int, default=30, help="samples of every form (default 30)")
    parser.add_argument("--lengths", default="128,384", help="tokens, with commas (default 128,384)")
    parser.add_argument("--threads", type=int, default=2, help="of torch and ONNX Runtime (default 2)")
    options = parser.parse_args(arguments)
    lengths = [int(word) if word.isdigit() else 0 for word in options.lengths.split(",")]
    if not all(3 <= length <= 512 for length in lengths):
        parser.error(f"--lengths must be numbers from 3 to 512 with commas, got {options.lengths!r}")
    for name in ("rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    try:
        documents = measure({}, lengths, options.rounds, options.threads)
    except (ImportError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = machine()
    if options.json:
        print(json.dumps({"machine": found, "rounds": options.rounds, "lengths": documents}, indent=1))
    else:
        print(f"{header(found)}\nbatch 1, {options.threads} threads, {options.rounds} rounds\n")
        print("\n\n".join(table(document) for document in documents))
    return 0


if __name__ == "__main__":
    sys.exit(main())
