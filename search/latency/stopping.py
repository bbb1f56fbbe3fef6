"""When a session has seen enough, and whether it is kept: `Protocol` applied to samples."""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from search.latency.protocol import Protocol
from search.latency.summary import SessionSummary, estimates, relative_width

LOOK_RESAMPLES = 400
"""Fewer than in the summary: a look only decides whether to go on."""


def stopper(
    protocol: Protocol, *, clock: Callable[[], int] = time.perf_counter_ns
) -> Callable[[Sequence[Sequence[float]]], bool]:
    """What `interleave` asks after every round: whether the session may end. Time counts from now.

    Args:
        clock: monotonic time in nanoseconds.
    """
    looks, started = frozenset(protocol.looks), clock()

    def enough(samples: Sequence[Sequence[float]]) -> bool:
        rounds = len(samples[0])
        if protocol.seconds is not None and rounds >= 2 and (clock() - started) / 1e9 >= protocol.seconds:
            return True
        if protocol.interval_width is None or rounds not in looks:
            return False
        return widest(samples) <= protocol.interval_width

    return enough


def widest(samples: Sequence[Sequence[float]]) -> float:
    """The widest interval, high / low - 1, of the ratios to the first series (samples [series][round])."""
    times = np.array(samples, dtype=np.float64)
    found = estimates(times[1:] / times[0], resamples=LOOK_RESAMPLES)
    return max((relative_width(estimate) for estimate in found), default=0.0)


def refusal(protocol: Protocol, summary: SessionSummary) -> str | None:
    """Why a session is not kept, in one line; None where it is."""
    width = relative_width(summary.control.ratio)
    if protocol.control_width is None or width <= protocol.control_width:
        return None
    said = "has no interval" if math.isinf(width) else f"is {100 * width:.1f} % wide"
    rounds = summary.control.ratio.n
    return (
        f"the A/A control's 95 % interval must be at most {100 * protocol.control_width:g} % wide, it {said} after "
        f"{rounds} round{'s' if rounds > 1 else ''}; something else uses the machine"
    )
