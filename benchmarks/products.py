"""Matrix products and updates of the cpu scale, by torch's own library and by oneDNN.

    python -m benchmarks.products

One torch thread, both ways in one process, in turns whose order is drawn anew; values and losses are compared before
anything is timed. A product is timed with its two gradients; an update is one of the teacher's pre-training, of a
student's distillation, and of a student's pre-training on labels. Times are medians, ratios torch over oneDNN of the
same round. The floor is what the arithmetic takes at the peak, the best of both libraries at a large square product.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import header, machine

ROUNDS = 60
TOKENS = 32 * 32
SHAPES = ((128, 512), (512, 128), (128, 128), (64, 128), (64, 64), (64, 16), (16, 16))
"""Channels in and out, of teachers and students at cpu scale."""
UPDATES = 4
"""Of a training between two looks at the clock."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 2 where there is no oneDNN."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"timed rounds (default {ROUNDS})")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    import torch

    from search.allocator import keep_freed_memory
    from search.training.products import has_onednn

    if not has_onednn():
        print("error: this torch has no oneDNN for this processor; there is nothing to compare", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    keep_freed_memory()
    peak = _peak()
    print(f"{header(machine())}\n{options.rounds} rounds, peak {peak / 1e9:.0f} GFLOP/s of one thread\n")
    print(f"{'':34}{'torch':>9}  {'oneDNN':>9}  {'ratio':>6}  {'quartiles':>12}  {'floor':>9}")
    for shape in SHAPES:
        flops = 3 * 2 * TOKENS * shape[0] * shape[1]
        name = f"{TOKENS} tokens, {shape[0]} to {shape[1]}"
        print(_line(name, _products(shape), options.rounds, 1, flops / peak), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, ways in _updates(Path(folder)).items():
            print(_line(name, ways, max(3, options.rounds // 5), UPDATES), flush=True)
    return 0


def _line(
    name: str, ways: Mapping[str, Callable[[], object]], rounds: int, calls: int, floor: float | None = None
) -> str:
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    generator = np.random.default_rng(0)
    for _ in range(rounds + 2):
        for way in generator.permutation(list(ways)):
            begin = time.perf_counter()
            for _ in range(calls):
                ways[way]()
            seconds[way].append((time.perf_counter() - begin) / calls)
    kept = {way: times[2:] for way, times in seconds.items()}
    ratios = [one / other for one, other in zip(kept["torch"], kept["onednn"], strict=True)]
    low, ratio, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    own, other = (1e3 * statistics.median(kept[way]) for way in ("torch", "onednn"))
    least = "" if floor is None else f"  {1e3 * floor:6.3f} ms"
    return f"{name:34}{own:6.3f} ms  {other:6.3f} ms  {ratio:5.2f}x  {low:5.2f} to {high:4.2f}{least}"


def _products(shape: tuple[int, int]) -> dict[str, Callable[[], object]]:
    """A product with its gradients, by both libraries."""
    import torch
    from torch.nn import functional

    from search.training import products

    hidden, weight, bias = (torch.randn(size) for size in ((TOKENS, shape[0]), (shape[1], shape[0]), (shape[1],)))
    gradient = torch.randn(TOKENS, shape[1])
    given = tuple(tensor.requires_grad_() for tensor in (hidden, weight, bias))

    def by(multiply: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(multiply(*given), given, gradient)

    ways = {"torch": by(functional.linear), "onednn": by(products._Product.apply)}
    for one, other in zip(*(way() for way in ways.values()), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
    return ways


def _updates(folder: Path) -> dict[str, dict[str, Callable[[], object]]]:
    """Updates of trainings by their names, by both libraries; their first losses are equal within rounding."""
    import torch

    from search.data.prepare import open_data, prepare
    from search.training.acceleration import Acceleration
    from search.training.loop import Keeper, _step, learn
    from search.training.planned import planned_stages
    from search.training.train import Training
    from studies.scales import sources, student_trial

    spec = student_trial("cpu", prepare(sources("cpu"), folder), 0, average_heads=False)
    assert spec.teacher is not None
    data, cpu = open_data(folder, spec.data), torch.device("cpu")
    weights = Training(spec.teacher, data, Keeper(path=folder / "none"), None, cpu, Acceleration()).others()
    taught = {f"pretrained/{name}": tensor for name, tensor in weights["pretrained"].state_dict().items()}
    distilled = replace(spec, recipe=replace(spec.recipe, knowledge_transfer=None))
    alone = replace(distilled.recipe.pre_training, teacher_share=0.0)
    bare = replace(distilled, teacher=None, recipe=replace(distilled.recipe, pre_training=alone))
    trials = {"teacher, pre-training": spec.teacher, "student, distillation": distilled, "student, labels": bare}

    def by(trial: Any, on: Acceleration) -> tuple[float, Callable[[], object]]:
        training = Training(trial, data, Keeper(path=folder / "none"), taught if trial.teacher else None, cpu, on)
        stage = training.stage(planned_stages(trial)[0])
        learn(stage)
        number = iter(range(1, stage.steps))
        return _step(stage, 0), lambda: _step(stage, next(number))

    found: dict[str, dict[str, Callable[[], object]]] = {}
    for name, trial in trials.items():
        both = {way: by(trial, Acceleration(products=way)) for way in ("torch", "onednn")}
        losses = [loss for loss, _ in both.values()]
        if not np.isclose(*losses, rtol=1e-4):
            raise ValueError(f"both libraries must give the same loss, got {losses}")
        found[name] = {way: step for way, (_, step) in both.items()}
    return found


def _peak() -> float:
    """FLOPs per second of the best of ten large square products by either library."""
    import torch

    from search.training.products import product

    size, best = 1536, float("inf")
    matrix = torch.randn(size, size)
    for multiply in (torch.matmul, product):
        for _ in range(10):
            begin = time.perf_counter()
            multiply(matrix, matrix)
            best = min(best, time.perf_counter() - begin)
    return 2.0 * size**3 / best


if __name__ == "__main__":
    sys.exit(main())
