"""From the samples of a latency session to numbers with intervals. Needs numpy, not torch."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from search.latency.case import LatencyCase, case_conditions
from search.latency.session import LatencySession
from search.record import Interval, Measurement

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The median of n samples."""

    value: float
    interval: Interval | None
    """None for a single sample."""
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderLatency:
    """One encoder's time per forward pass, and the same as a ratio to the reference's time in the same round."""

    latency_ms: Estimate
    ratio: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """What a session says."""

    reference_ms: Estimate
    control: EncoderLatency
    """The reference against itself: a ratio interval that leaves 1 out tells of noise that pairing did not remove."""
    candidates: dict[str, EncoderLatency]


def summarise(session: LatencySession, *, seed: int = 0, resamples: int = 2000, level: float = 0.95) -> SessionSummary:
    """Medians over rounds with bootstrap intervals; the ratio is the median of the ratios of each round.

    The bootstrap draws rounds, the same for all encoders, in circular blocks of b = floor(n^(1/3)) consecutive rounds
    (noise of neighbouring rounds is alike). The percentile interval is then widened, on the logarithmic scale around
    the median, by t(n / b - 1) / z / sqrt(1 - b / n): a bootstrap of few blocks is too narrow.

    Coverage of the 95 % interval of a ratio on a simulated machine that drifts and is disturbed by bursts (1,000
    sessions each, of 5 to 15 % disturbed passes or of drift alone; tests/search/latency repeats it on fewer): 98 % at 5
    rounds, 96 to 97 % at 8, 94 to 95 % at 12 and 20, 93 to 95 % at 40.

    Args:
        seed: of the bootstrap.
        resamples: bootstrap repetitions.
        level: coverage aimed at, between 0 and 1.
    """
    everything = [session.reference, session.control, *(candidate.series for candidate in session.candidates)]
    samples = np.array([series.forward_ns for series in everything], dtype=np.float64)  # (series, round)
    latencies = estimates(samples / 1e6, seed=seed, resamples=resamples, level=level)
    ratios = estimates(samples / samples[0], seed=seed, resamples=resamples, level=level)
    both = [EncoderLatency(latency_ms=one, ratio=two) for one, two in zip(latencies, ratios, strict=True)]
    names = [candidate.name for candidate in session.candidates]
    return SessionSummary(
        reference_ms=latencies[0], control=both[1], candidates=dict(zip(names, both[2:], strict=True))
    )


def relative_width(estimate: Estimate) -> float:
    """How wide an interval is, high / low - 1; infinite without an interval, which a single round has not."""
    return math.inf if estimate.interval is None else estimate.interval.high / estimate.interval.low - 1


def measurements(summary: SessionSummary, name: str, case: LatencyCase, reference: str) -> tuple[Measurement, ...]:
    """What a candidate's trial file says of its latency: `latency_ms` and `latency_ratio`.

    Args:
        name: the candidate.
        case: the session's.
        reference: what the reference is called.
    """
    found, control = summary.candidates[name], summary.control.ratio
    conditions = case_conditions(case)
    compared = conditions | {"reference": reference, "control_ratio": control.value}
    if control.interval is not None:
        compared |= {"control_low": control.interval.low, "control_high": control.interval.high}
    return (
        _measurement("latency_ms", "ms", found.latency_ms, conditions),
        _measurement("latency_ratio", "x reference", found.ratio, compared),
    )


def _measurement(metric: str, unit: str, estimate: Estimate, conditions: dict[str, Any]) -> Measurement:
    return Measurement(
        metric=metric,
        value=estimate.value,
        unit=unit,
        n=estimate.n,
        conditions=conditions,
        interval=estimate.interval,
    )


def _block_length(rounds: int) -> int:
    return int(math.cbrt(rounds))


def _resampled_rounds(rounds: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Rounds of each bootstrap repetition, in circular blocks: (resamples, rounds)."""
    length = _block_length(rounds)
    starts = generator.integers(0, rounds, size=(resamples, -(-rounds // length), 1))
    return ((starts + np.arange(length)) % rounds).reshape(resamples, -1)[:, :rounds]


def estimates(samples: Samples, *, seed: int = 0, resamples: int = 2000, level: float = 0.95) -> list[Estimate]:
    """Median and interval, as `summarise` says, of every row of samples (series, round)."""
    rounds = samples.shape[1]
    rows = _resampled_rounds(rounds, resamples, np.random.default_rng(seed))
    medians = np.median(samples, axis=1)
    if rounds < 2:
        return [Estimate(value=float(median), interval=None, n=rounds) for median in medians]
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = [np.quantile(np.median(series[rows], axis=1), tails) for series in samples]
    return [
        Estimate(value=float(median), interval=_widened(float(median), low_high, rounds, level), n=rounds)
        for median, low_high in zip(medians, bounds, strict=True)
    ]


def _widened(median: float, bounds: Samples, rounds: int, level: float) -> Interval:
    share = _block_length(rounds) / rounds
    upper = (1 + level) / 2
    factor = float(stdtrit(1 / share - 1, upper) / stdtrit(np.inf, upper) / np.sqrt(1 - share))
    low, high = (float(median * (bound / median) ** factor) for bound in bounds)
    return Interval(low=low, high=high, level=level)
