"""What makes the intervals of a latency session as wide as they are: rounds, noise of a round, drift, outliers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.latency.session import LatencySession
from search.latency.summary import estimates, relative_width, summarise

Floats = NDArray[np.float64]
OUTLYING = 4.0
"""Deviations from the median beyond which a round counts as an outlier."""


def noise(found: LatencySession, goal: float) -> dict[str, Any]:
    """The widths of a session's ratio intervals, and where they come from.

    Deviations are of logarithms and robust (the interquartile range over 1.349); those of encoders are medians over
    them. Widths are high / low - 1.

    Args:
        goal: the width that was wanted.
    """
    logs = _logs(found)
    ratios = logs[2:] - logs[0]
    summary = summarise(found)
    widths = sorted(relative_width(one.ratio) for one in summary.candidates.values())
    timed = [sum(one.forward_ns) * one.repeats / 1e9 for one in _series(found)]
    untimed = [sum(one.forward_ns) / 1e9 for one in _series(found)]  # the pass before each sample
    correlation = float(np.median([neighbours(one) for one in ratios]))
    return {
        "goal": goal,
        "met": widths[-1] <= goal,
        "widest": widths[-1],
        "widths": widths,
        "control_width": relative_width(summary.control.ratio),
        "rounds": found.rounds,
        "rounds_for_goal": math.ceil(found.rounds * (widths[-1] / goal) ** 2),
        "timed_share": sum(timed) / (sum(timed) + sum(untimed)),
        "timed_seconds": sum(timed),
        "deviation_of_a_ratio": float(np.median(deviation(ratios))),
        "deviation_of_the_reference": float(deviation((logs[1] - logs[0])[None])[0] / math.sqrt(2)),
        "deviation_of_plain_times": float(np.median(deviation(logs))),
        "outlying_rounds": float(np.mean(outlying(ratios))),
        "correlation_of_neighbours": None if math.isnan(correlation) else correlation,
        "widths_of_plain_medians": sorted(relative_width(one.latency_ms) for one in summary.candidates.values()),
        "widths_by_both_references": both_references_widths(found),
        "widths_by_common_effect": common_effect_widths(found),
    }


def deviation(series: Floats) -> Floats:
    """A robust standard deviation of each row."""
    low, high = np.quantile(series, [0.25, 0.75], axis=1)
    return np.asarray((high - low) / 1.349)


def outlying(series: Floats) -> Floats:
    """Which values lie more than OUTLYING deviations from their row's median."""
    apart = np.abs(series - np.median(series, axis=1, keepdims=True))
    return np.asarray(apart > OUTLYING * deviation(series)[:, None])


def neighbours(series: Floats) -> float:
    """Correlation of ranks of each round with the next, which is drift that pairing did not remove; NaN below 4 rounds
    or where nothing varies."""
    if len(series) < 4 or np.ptp(series) == 0:
        return math.nan
    ranks = np.argsort(np.argsort(series)).astype(np.float64)
    return float(np.corrcoef(ranks[:-1], ranks[1:])[0, 1])


def both_references_widths(found: LatencySession) -> list[float]:
    """What intervals would be if a round's reference were the geometric mean of its two copies. Not what the project
    reports."""
    logs = _logs(found)
    return sorted(relative_width(one) for one in estimates(np.exp(logs[2:] - (logs[0] + logs[1]) / 2)))


def common_effect_widths(found: LatencySession, resamples: int = 1000) -> list[float]:
    """What intervals would be if each round's common effect, the median over all encoders, were taken out of encoder
    and reference alike before their medians are compared. Not what the project reports: the ratio of one encoder would
    then depend on the others. Rounds are drawn singly."""
    logs = _logs(found)
    logs -= np.median(logs - np.median(logs, axis=1, keepdims=True), axis=0)
    rows = np.random.default_rng(0).integers(0, found.rounds, size=(resamples, found.rounds))
    reference = np.median(np.concatenate([logs[0][rows], logs[1][rows]], axis=1), axis=1)
    widths = []
    for one in logs[2:]:
        low, high = np.quantile(np.median(one[rows], axis=1) - reference, [0.025, 0.975])
        widths.append(float(np.exp(high - low) - 1))
    return sorted(widths)


def noise_text(found: dict[str, Any]) -> str:
    """`noise` for people: the goal, then the reasons."""
    verdict = "met" if found["met"] else f"MISSED by a factor of {found['widest'] / found['goal']:.2f}"
    neighbour = found["correlation_of_neighbours"]
    said = "-" if neighbour is None else f"{neighbour:+.2f}"
    plain, timed = _range(found["widths_of_plain_medians"]), f"{found['timed_seconds']:.0f} s"
    ratio, reference, times = (
        _percent(found[f"deviation_of_{what}"]) for what in ("a_ratio", "the_reference", "plain_times")
    )
    both, common = _range(found["widths_by_both_references"]), _range(found["widths_by_common_effect"])
    return "\n  ".join(
        [
            f"widest 95 % interval of a ratio: {_percent(found['widest'])} (goal {_percent(found['goal'])}): {verdict}",
            f"A/A control {_percent(found['control_width'])}; intervals of plain medians {plain}",
            f"{found['rounds']} rounds, {found['rounds_for_goal']} would do at this noise",
            f"{found['timed_share']:.0%} of the passes' time is timed ({timed}), not the pass before each sample",
            f"deviation of a round: ratio {ratio}, the reference's own {reference}, plain times {times}",
            f"outliers ({OUTLYING:g} deviations) {found['outlying_rounds']:.1%}; correlation of neighbours {said}",
            f"tried on the same samples: both copies as the reference {both}, common effect taken out {common}",
        ]
    )


def _logs(found: LatencySession) -> Floats:
    return np.log(np.array([one.forward_ns for one in _series(found)]))


def _series(found: LatencySession) -> list[Any]:
    return [found.reference, found.control, *(one.series for one in found.candidates)]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _range(widths: Sequence[float]) -> str:
    return f"{100 * widths[0]:.2f} to {100 * widths[-1]:.2f} %"
