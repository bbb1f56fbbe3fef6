"""A knowledge-transfer step written the usual way (transformers, eager, one seed at a time) against this engine.

Run as `python -m benchmarks.transfer_step`. Every way has processes of its own which wait while another is timed;
rounds are interleaved, in an order drawn anew. Same encoders, weights, batches and losses: the losses of the first step
are compared before anything is timed. `engine` uses every core: for one seed a second thread computes the teacher's
next outputs, for eight there is a process per core. `shared` is the engine in the second and every later arm of a seed,
whose teacher outputs an earlier arm has kept on disk (reading and checking them included). `replicas` is the engine
with all seeds as one computation in one process.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import header, machine

WAYS = ("usual", "engine", "shared")
GOALS = {("cpu", 1): 1.5, ("cpu", 8): 2.0, ("cuda", 1): 4.0, ("cuda", 8): 10.0}
ROUNDS = 15
STEPS = 12
"""Between two looks at the clock, an equal number in each phase at cpu scale. Where teacher outputs are computed ahead,
those of the first step were had before the clock started: one in twelve."""
PAUSE = 0.3
"""Seconds in which what was computed ahead is finished, beside nobody's timing."""


def measure(device: str, seeds: int, kind: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """One row per way. Raises ValueError where the ways do not compute the same loss."""
    from benchmarks.transfer_work import benchmark_trial, flops

    scale = "cpu" if device == "cpu" else "gpu"
    ways = [*(WAYS if device == "cpu" else WAYS[:2]), *["replicas"] * (seeds > 1)]
    groups = {way: _start(way, device, seeds, kind, folder) for way in ways}
    try:
        losses = {way: [loss for channel, _ in group for loss in channel.recv()] for way, group in groups.items()}
        _check_losses(losses, 1e-3 if device == "cpu" else 3e-2)
        seconds, memory = _rounds(groups, rounds)
        peak = _matrix_peak(device)
    finally:
        for group in groups.values():
            for channel, process in group:
                channel.close()
                process.join(20)
                process.kill()
    spec = benchmark_trial(scale, folder)
    transfer = spec.recipe.pre_training if kind == "distillation" else spec.recipe.knowledge_transfer
    assert transfer is not None
    # A shared way reads what the teacher said; its forward is work that nobody does.
    work = {way: seeds * flops(spec, kind, transfer.batch_size, teacher=way != "shared") for way in ways}
    return [
        {
            "device": device,
            "seeds": seeds,
            "kind": kind,
            "way": way,
            "ms": 1e3 * statistics.median(seconds[way]),
            "ratio": statistics.median(a / b for a, b in zip(seconds["usual"], seconds[way], strict=True)),
            "peak_memory_mb": memory[way] / 1e6,
            "gflops": work[way] / statistics.median(seconds[way]) / 1e9,
            "share_of_peak": work[way] / statistics.median(seconds[way]) / peak,
        }
        for way in ways
    ]


def _start(way: str, device: str, seeds: int, kind: str, folder: Path) -> list[tuple[Connection, Any]]:
    """The processes of one way: one, or for several seeds of the engine on the CPU one per core."""
    from benchmarks.transfer_work import Work, serve
    from search.machine import cores

    own = way in ("engine", "shared") and device == "cpu"
    count = min(seeds, cores()) if own else 1
    context = multiprocessing.get_context("spawn")
    started = []
    for index in range(count):
        ours, theirs = context.Pipe()
        work = Work(
            way=way,
            kind=kind,
            scale="cpu" if device == "cpu" else "gpu",
            device=device,
            seeds=tuple(range(index, seeds, count)),
            threads=1 if own else None,
            lookahead=device == "cpu" and ((own and 2 * count <= cores()) or (way == "replicas" and cores() > 1)),
            folder=folder,
        )
        process = context.Process(target=serve, args=(work, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append((ours, process))
    return started


def _check_losses(losses: dict[str, list[float]], tolerance: float) -> None:
    for way, values in losses.items():
        if not np.allclose(sorted(values), sorted(losses["usual"]), rtol=tolerance):
            raise ValueError(f"{way} must compute the loss of the usual way, got {values} and {losses['usual']}")


def _rounds(groups: dict[str, Any], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds per step of each way in each round, and its peak memory in bytes (all its processes)."""
    generator, seconds, memory = np.random.default_rng(0), {way: [] for way in groups}, dict.fromkeys(groups, 0.0)
    steps = STEPS
    for done in range(rounds + 2):
        for way in generator.permutation(list(groups)):
            begin = time.perf_counter()
            for channel, _ in groups[way]:
                channel.send(steps)
            peaks = [channel.recv() for channel, _ in groups[way]]
            took = (time.perf_counter() - begin) / steps
            time.sleep(PAUSE)
            if done >= 2:
                seconds[way].append(took)
                memory[way] = sum(peaks)
    return seconds, memory


def _matrix_peak(device: str) -> float:
    """FLOPs per second of the best of twenty large square matrix products (float32 by either of torch's libraries;
    bfloat16 on a GPU), all cores."""
    import torch

    from search.training.products import has_onednn, product

    size = 2048 if device == "cpu" else 8192
    matrix = torch.randn(size, size, device=device, dtype=torch.float32 if device == "cpu" else torch.bfloat16)
    best = float("inf")
    for multiply in (torch.matmul, product) if device == "cpu" and has_onednn() else (torch.matmul,):
        for _ in range(20):
            begin = time.perf_counter()
            multiply(matrix, matrix)
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - begin)
    return 2.0 * size**3 / best


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [
        f"{'device':6} {'seeds':>5}  {'kind':12} {'way':8} {'ms':>8} {'ratio':>6} {'memory':>8} {'GFLOP/s':>8}  of peak"
    ]
    for row in rows:
        start = f"{row['device']:6} {row['seeds']:5}  {row['kind']:12} "
        if "ms" not in row:
            lines.append(f"{start}no GPU")
            continue
        lines.append(
            f"{start}{row['way']:8} {row['ms']:8.1f} {row['ratio']:5.2f}x {row['peak_memory_mb']:5.0f} MB "
            f"{row['gflops']:8.1f} {row['share_of_peak']:8.1%}"
        )
    return "\n".join(lines)


def verdicts(rows: Sequence[dict[str, Any]]) -> str:
    """The goals, of the progressive step and of all blocks at once, beside what came out."""
    lines = []
    for row in rows:
        goal = GOALS[row["device"], row["seeds"]]
        if row.get("way") in ("engine", "replicas") and row["kind"] != "distillation":
            word = "met" if row["ratio"] >= goal else "MISSED"
            what = f"{row['device']}, {row['seeds']} seeds, {row['kind']}, {row['way']}"
            lines.append(f"{what}: {row['ratio']:.2f}x, goal {goal}x: {word}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 2 where it could not measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer_step", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"timed rounds of each case (default {ROUNDS})")
    parser.add_argument("--seeds", type=int, choices=(1, 8), help="only so many seeds")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    import torch

    from benchmarks.transfer_work import KINDS, benchmark_trial

    before, rows = machine(), []
    with tempfile.TemporaryDirectory() as temporary:
        for device, seeds in GOALS:
            if options.seeds not in (None, seeds):
                continue
            for kind in KINDS:
                if device == "cuda" and not torch.cuda.is_available():
                    rows.append({"device": device, "seeds": seeds, "kind": kind})
                    continue
                benchmark_trial("cpu" if device == "cpu" else "gpu", Path(temporary))  # prepares the data
                try:
                    rows += measure(device, seeds, kind, Path(temporary), options.rounds)
                except ValueError as error:
                    print(f"error: {error}", file=sys.stderr)
                    return 2
    if options.json:
        print(json.dumps({"machine": before, "rounds": options.rounds, "rows": rows}, indent=1))
    else:
        print(f"{header(before)}\n{options.rounds} interleaved rounds\n\n{table(rows)}\n\n{verdicts(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
