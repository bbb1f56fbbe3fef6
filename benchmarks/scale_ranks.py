"""Does the order of arms at a small scale hold at a larger one? Kendall's tau beside the noise ceiling.

    python -m benchmarks.scale_ranks runs-smoke runs-cpu

Both arguments are folders of runs of the same studies. For every study, and for all their distinct arms together, it
prints tau-b between the arms' mean accuracies at the two scales, its 95 % interval (seeds drawn again at both), and two
ceilings: tau between the means of two halves of the seeds of the larger scale, and of the smaller, over all splits. A
ranking cannot agree with another one better than each does with itself.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from reports.contrast import arm_names, records_by_arm
from reports.points import accuracy_of
from reports.reading import read_run

Scores = dict[str, dict[int, float]]
"""Accuracy by arm and seed."""
DRAWS = 2000


def scores(run_folder: Path) -> Scores:
    """The accuracies of a run's arms, those that diverged left out."""
    run = read_run(run_folder)
    table = records_by_arm(run.records)
    found: Scores = {arm: {} for arm in arm_names(run.study)}
    for (arm, seed), record in table.items():
        value = accuracy_of(record) if record["status"] == "complete" else None
        if arm in found and value is not None:
            found[arm][seed] = value
    return found


def matrix(found: Scores, arms: Sequence[str]) -> NDArray[np.float64]:
    """[arms, seeds], of the seeds that every arm has."""
    seeds = sorted(set.intersection(*(set(found[arm]) for arm in arms)))
    return np.array([[found[arm][seed] for seed in seeds] for arm in arms])


def agreement(small: NDArray[np.float64], large: NDArray[np.float64], draw: np.random.Generator) -> dict[str, float]:
    """Tau between the means of two [arms, seeds], its interval over seeds, and both ceilings.

    A ceiling is missing (NaN) for fewer than two seeds.
    """
    draws = []
    for _ in range(DRAWS):
        means = [part[:, draw.integers(part.shape[1], size=part.shape[1])].mean(1) for part in (small, large)]
        draws.append(tau(*means))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return {
        "tau": tau(small.mean(1), large.mean(1)),
        "low": float(low),
        "high": float(high),
        "ceiling_large": ceiling(large),
        "ceiling_small": ceiling(small),
    }


def ceiling(values: NDArray[np.float64]) -> float:
    """Mean tau between the means of two halves of the seeds, over all splits."""
    count = values.shape[1]
    if count < 2:
        return float("nan")
    halves = itertools.combinations(range(count), count // 2)
    found = []
    for half in halves:
        rest = [seed for seed in range(count) if seed not in half]
        found.append(tau(values[:, list(half)].mean(1), values[:, rest].mean(1)))
    return float(np.nanmean(found))


def tau(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Kendall's tau-b."""
    return float(kendalltau(one, other).statistic)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The order of arms at two scales.")
    parser.add_argument("small", type=Path)
    parser.add_argument("large", type=Path)
    arguments = parser.parse_args()
    draw = np.random.default_rng(0)
    print(f"{'study':<28} {'arms':>4} {'seeds':>7} {'tau':>6}  {'95 % interval':<15} {'ceilings (large, small)'}")
    everywhere: tuple[Scores, Scores] = ({}, {})
    for folder in sorted(arguments.large.glob("*/study.json")):
        name = folder.parent.name.rpartition("-")[0]
        other = next(iter(sorted(arguments.small.glob(f"{name}-*/study.json"))), None)
        if other is None:
            continue
        both = scores(other.parent), scores(folder.parent)
        arms = [arm for arm in both[1] if both[1][arm] and both[0].get(arm)]
        for whole, part in zip(everywhere, both, strict=True):
            whole.update({f"{name}: {arm}": part[arm] for arm in arms})
        if len(arms) > 1:
            _show(name, arms, both, draw)
    arms = _distinct(everywhere[1])
    if len(arms) > 1:
        _show("all distinct arms", arms, everywhere, draw)


def _distinct(found: Scores) -> list[str]:
    """Arms with scores of their own: a trial that studies share counts once."""
    seen: set[tuple[float, ...]] = set()
    kept = []
    for arm, values in found.items():
        mark = tuple(values[seed] for seed in sorted(values))
        if mark not in seen:
            seen.add(mark)
            kept.append(arm)
    return kept


def _show(name: str, arms: Sequence[str], both: tuple[Scores, Scores], draw: np.random.Generator) -> None:
    small, large = (matrix(found, arms) for found in both)
    result = agreement(small, large, draw)
    seeds = f"{small.shape[1]}, {large.shape[1]}"
    interval = f"{result['low']:.2f} to {result['high']:.2f}"
    ceilings = f"{result['ceiling_large']:.2f}, {result['ceiling_small']:.2f}"
    print(f"{name:<28} {len(arms):>4} {seeds:>7} {result['tau']:>6.2f}  {interval:<15} {ceilings}")


if __name__ == "__main__":
    main()
