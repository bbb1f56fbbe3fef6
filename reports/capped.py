"""The cap on a search's latency: the best configuration under it and how surely it is, or the nearest miss.

A configuration is held against the cap by its latency in the session at the end of the search, where it was in one
(front and baseline are): it was not chosen by the noise of that session. Otherwise by the latency that the search saw.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from markupsafe import Markup

from reports.form import cap_of
from reports.pareto import Interval
from reports.points import Point
from reports.readable import decimals, milliseconds, percent, plural, spread
from reports.records import Record, Run, find_measurement, interval_of, value_of

BOUND = NormalDist().inv_cdf(0.975)
"""Where the upper bound of a 95 % interval lies, in standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A configuration with the latency that is held against the cap."""

    point: Point
    latency_ms: float
    interval: Interval
    source: str
    """What the interval is of, in words."""


def probability_of_meeting(latency_ms: float, interval: Interval, max_latency_ms: float) -> float | None:
    """The probability that a latency is at most the cap, read off its 95 % interval; None without one.

    The distribution is that of the interval: of a measured latency the block bootstrap over the rounds of its session
    (of the median pass, not of a single one), of a predicted one the predictor's errors on what it was fitted to. Its
    median and bounds are known here (50, 2.5 and 97.5 %); they are joined by a normal distribution of the logarithm on
    either side of the median.

    >>> round(probability_of_meeting(10.0, (9.0, 11.0), 11.0), 3), probability_of_meeting(10.0, (9.0, 11.0), 10.0)
    (0.975, 0.5)
    """
    if interval is None:
        return None
    side = interval[1] / latency_ms if max_latency_ms >= latency_ms else latency_ms / interval[0]
    if side <= 1.0:  # no spread on this side
        return 1.0 if max_latency_ms >= latency_ms else 0.0
    return NormalDist().cdf(BOUND * math.log(max_latency_ms / latency_ms) / math.log(side))


def held_latencies(run: Run, points: list[Point]) -> list[Held]:
    """The points with the latency that counts for the cap; those without milliseconds are left out."""
    by_mark = {record["fingerprint"]: record for record in run.records}
    found = [_held(by_mark[point.fingerprints[0]], point) for point in points]
    return [one for one in found if one is not None]


def about_cap(run: Run, points: list[Point]) -> list[Markup]:
    """The answer under the cap; nothing for a run without one, or without a latency in milliseconds."""
    cap, held = cap_of(run.study), held_latencies(run, points)
    if cap is None or not held:
        return []
    under = [one for one in held if one.latency_ms <= cap]
    if not under:
        nearest = min(held, key=lambda one: one.latency_ms)
        over = nearest.latency_ms - cap
        text = "<strong>No configuration meets the cap</strong> of {} ms{}. The nearest, <strong>{}</strong> ({} %), "
        text += "takes {} ms, {} ms ({} %) too many; {}."
        said = (cap_text(cap), _conditions(run), nearest.point.name, percent(nearest.point.accuracy))
        size = (milliseconds(nearest.latency_ms), milliseconds(over), f"{100 * over / cap:.1f}")
        return [Markup(text).format(*said, *size, _surely(nearest, cap))]
    # Those of the front were trained with all seeds and measured twice; another one only where none of them is left.
    best = max(
        [one for one in under if one.point.on_front] or under, key=lambda one: (one.point.accuracy, -one.latency_ms)
    )
    text = (
        "<strong>Under the cap</strong> of {} ms{}, the most accurate configuration is <strong>{}</strong>: {} % at {} "
    )
    text += "ms; {}."
    said = (cap_text(cap), _conditions(run), best.point.name, percent(best.point.accuracy))
    return [Markup(text).format(*said, milliseconds(best.latency_ms), _surely(best, cap))]


def about_surety(run: Run, points: list[Point]) -> list[Markup]:
    """What the probabilities are of, and which configurations the search took for being under the cap that are not."""
    cap, held = cap_of(run.study), held_latencies(run, points)
    if cap is None or not held:
        return []
    sources = ", ".join(dict.fromkeys(one.source for one in held if one.point.on_front)) or held[0].source
    under = sum(one.latency_ms <= cap for one in held)
    text = "{} of {} {} under the cap. How surely one is, is read off {}. That is the error of measuring or predicting "
    text += "the median pass on this machine; it says nothing of another machine, a busier day or the slowest pass."
    verb = "is" if under == 1 else "are"
    found = [Markup(text).format(under, plural(len(held), "configuration"), verb, sources)]
    crossed = [
        f"{one.point.name} ({milliseconds(one.point.latency_ms)} ms, then {milliseconds(one.latency_ms)} ms)"
        for one in held
        if one.point.latency_ms is not None and (one.point.latency_ms <= cap) != (one.latency_ms <= cap)
    ]
    if crossed:
        text = "On the other side of the cap than in the search, when measured at the end: {}."
        found.append(Markup(text).format("; ".join(crossed)))
    return found


def cap_text(cap: float) -> str:
    """The cap as it was asked for.

    >>> cap_text(20.0), cap_text(1.25)
    ('20', '1.25')
    """
    return repr(cap).removesuffix(".0")


def _held(record: Record, point: Point) -> Held | None:
    for metric in ("measured_latency_ms", "latency_ms"):
        value = value_of(record, metric)
        if value is not None:
            return Held(
                point=point, latency_ms=value, interval=interval_of(record, metric), source=_source(record, metric)
            )
    return None


def _source(record: Record, metric: str) -> str:
    measured = find_measurement(record, metric) or {"conditions": {}}
    if metric == "measured_latency_ms":
        return "the 95 % interval (bootstrap over rounds) of the session at the end of the search"
    if measured["conditions"].get("source") == "predicted":
        return "the 95 % interval that the device profile predicts"
    return "the 95 % interval (bootstrap over rounds) of its session during the search"


def _conditions(run: Run) -> str:
    case = run.study.get("latency")
    if not isinstance(case, dict) or "runtime" not in case:
        return ""
    threads = case.get("threads", 1)
    return f" ({case['runtime']}, {threads} thread{'' if threads == 1 else 's'})"


def _surely(held: Held, cap: float) -> str:
    chance = probability_of_meeting(held.latency_ms, held.interval, cap)
    if chance is None:
        return "how surely it meets the cap cannot be told from a single round"
    size = "under 1 %" if chance < 0.01 else "over 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"
    between = spread(held.interval, decimals(held.latency_ms))
    return f"its 95 % interval is {between} ms, and it meets the cap with a probability of {size}"
