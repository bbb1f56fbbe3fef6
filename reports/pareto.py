"""The accuracy-against-latency front as numbers: who is on it, how much it covers, and where its steps are in doubt.

A point is a row (accuracy, latency): more accuracy is better, less latency is better. Only numpy.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float] | None
"""(low, high); None where nothing was recorded."""


def front(points: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other point dominates.

    One point dominates another when it is at least as good in both and better in one; of equal points both stay. A row
    that is not finite is never on the front and dominates nothing.

    Args:
        points: rows (accuracy, latency), shape [n, 2].

    Returns:
        One truth value per row.

    >>> front([(70.0, 1.0), (60.0, 2.0), (80.0, 3.0)]).tolist()
    [True, False, True]
    """
    rows = _rows(points)
    finite = np.asarray(np.isfinite(rows).all(axis=1))
    accuracy, latency = rows[:, 0], rows[:, 1]
    with np.errstate(invalid="ignore"):
        no_worse = (accuracy[:, None] >= accuracy) & (latency[:, None] <= latency)
        better = (accuracy[:, None] > accuracy) | (latency[:, None] < latency)
    dominated = (no_worse & better & finite[:, None]).any(axis=0)
    return np.asarray(finite & ~dominated, dtype=np.bool_)


def hypervolume(points: ArrayLike, reference: tuple[float, float]) -> float:
    """The area that the front covers, in accuracy units x latency units, up to a reference point.

    Args:
        points: rows (accuracy, latency).
        reference: the worst (accuracy, latency) that still counts; a point not better than it in both adds nothing.

    >>> hypervolume([(70.0, 1.0), (80.0, 3.0)], reference=(50.0, 4.0))
    70.0
    """
    rows = _rows(points)
    kept = rows[front(rows)] if len(rows) else rows
    kept = kept[(kept[:, 0] > reference[0]) & (kept[:, 1] < reference[1])]
    area, floor = 0.0, reference[0]
    for accuracy, latency in kept[np.argsort(kept[:, 1], kind="stable")]:
        if accuracy > floor:
            area += (accuracy - floor) * (reference[1] - latency)
            floor = accuracy
    return float(area)


def steps_in_doubt(
    points: ArrayLike, accuracy_intervals: list[Interval], latency_intervals: list[Interval]
) -> list[bool]:
    """For each point of a front, whether its interval overlaps that of a neighbour, so that the order could be noise.

    Neighbours are the next faster and the next slower point. Either axis is enough: overlapping accuracies leave open
    whether the slower point is worth it, overlapping latencies whether the faster is faster. An interval that was not
    recorded overlaps nothing; the caller says that it is missing.
    """
    rows = _rows(points)
    order = np.lexsort((rows[:, 0], rows[:, 1])) if len(rows) else np.array([], dtype=int)
    doubt = [False] * len(rows)
    for left, right in pairwise(order):
        pairs = (
            (accuracy_intervals[left], accuracy_intervals[right]),
            (latency_intervals[left], latency_intervals[right]),
        )
        if any(_overlap(one, other) for one, other in pairs):
            doubt[left] = doubt[right] = True
    return doubt


def _rows(points: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(points, dtype=np.float64)
    if rows.size == 0:
        return np.empty((0, 2))
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ValueError(f"points must be rows (accuracy, latency), got an array of shape {rows.shape}")
    return rows


def _overlap(one: Interval, other: Interval) -> bool:
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]
