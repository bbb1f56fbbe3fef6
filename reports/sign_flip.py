"""The exact two-sided sign-flip test of paired differences and the interval that inverts it, for many studies at once.

If two arms are alike, every paired difference is as likely with the other sign (Fisher 1935, Design of Experiments).
Flipping a subset of n differences leaves a sum at least as large as the observed one exactly where the mean of that
subset is at most 0, so the 2^n - 1 subset means hold both the test and its inversion: the interval ends at the k-th
smallest and the k-th largest (Hartigan 1969, Using Subsample Values as Typical Values).

Legend: n pairs in a study; k the number of flips that may be as extreme on one side; level the two-sided error rate.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_EXACT = 20
"""Pairs up to which all 2^n flips are taken; beyond, `NUM_SAMPLED` random ones (the test still keeps its level)."""
NUM_SAMPLED = 2**16 - 1
NUM_CACHED = 2**11
"""Of these so many at a time: 1.6 MB for 100 pairs."""
MAX_SIMULATED = 10
"""Pairs up to which simulations flip signs; beyond, they use Student's interval, which flipping comes close to."""
NUM_STUDIES = 1000
"""Simulated studies behind a power."""
POWER = 0.8
MAX_MORE_SEEDS = 64
ROUNDING = 1e-9
"""Sums closer than this share of the largest difference are ties, not an order made by floating point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignFlip:
    """One entry per study."""

    p: Array
    low: Array
    """Ends of the interval for the mean; infinite where n is too small for the level."""
    high: Array


def smallest_p(num_pairs: int) -> float:
    """The smallest p that n pairs can give.

    >>> smallest_p(5), smallest_p(6)
    (0.0625, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - num_pairs))


def sign_flip(differences: Array, level: float = 0.05) -> SignFlip:
    """Test that the mean is 0, and the interval of all means that the test does not reject.

    The interval covers the mean with at least 1 - level where differences scatter symmetrically around it.

    Args:
        differences: [studies, pairs], at least one pair.
        level: two-sided error rate of the interval.
    """
    means = subset_means(differences)
    tie = ROUNDING * np.abs(differences).max(axis=1, keepdims=True)
    below, above = (means <= tie).sum(axis=1), (means >= -tie).sum(axis=1)
    num_flips = means.shape[1] + 1
    low, high = _ends(means, level)
    return SignFlip(p=np.minimum(1.0, 2 * (1 + np.minimum(below, above)) / num_flips), low=low, high=high)


def holm(p_values: Array) -> Array:
    """Adjusted p of a family (Holm 1979), last axis; compare each with the level of the whole family.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, axis=-1)
    size = p_values.shape[-1]
    steps = np.take_along_axis(p_values, order, axis=-1) * np.arange(size, 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(steps, axis=-1))
    found: Array = np.take_along_axis(adjusted, np.argsort(order, axis=-1), axis=-1)
    return found


def detectable_effect(deviation: float, num_pairs: int, level: float = 0.05) -> float | None:
    """The smallest true mean that n pairs detect with 80 % power, by simulating normal differences (seed fixed).

    Args:
        deviation: standard deviation of the differences.
        level: of the test; 0.05 over the number of arms is the strictest step of Holm.

    Returns:
        None where no effect, however large, gives a p at the level.
    """
    unit = _detectable_unit(num_pairs, level)
    return None if unit is None else deviation * unit


@lru_cache(maxsize=64)
def _detectable_unit(num_pairs: int, level: float) -> float | None:
    """Of differences with a deviation of 1: every contrast of as many pairs asks for the same."""
    ends = detectable_noise(num_pairs, level)
    # A shift moves the whole interval: a study detects all effects above minus its lower end.
    return None if ends is None else float(np.quantile(-ends[0], POWER))


def detectable_noise(num_pairs: int, level: float) -> tuple[Array, Array] | None:
    """Ends of the interval in simulated studies of normal noise without an effect (deviation 1, seed fixed).

    None where n is too small for any p at the level.
    """
    if smallest_p(num_pairs) > level:
        return None
    noise = np.random.default_rng(0).normal(size=(NUM_STUDIES, num_pairs))
    return _simulated_ends(noise, (level,))[0]


def more_seeds_to_settle(
    mean: float, deviation: float, num_pairs: int, margin: float | None, level: float = 0.05
) -> int | None:
    """How many more pairs bring some verdict in 80 % of studies with this mean and deviation; None for more than 64.

    A forecast: it takes what was observed for the truth (normal differences, seed fixed).

    Args:
        margin: the difference that matters; None where none was declared.
        level: of the test for a difference; the margin is always compared with the 95 % interval.
    """
    noise = np.random.default_rng(1).normal(size=(NUM_STUDIES // 2, num_pairs + MAX_MORE_SEEDS))

    def settles(more: int) -> bool:
        drawn = mean + deviation * noise[:, : num_pairs + more]
        (low, high), (lower, upper) = _simulated_ends(drawn, (level, 0.05))
        settled = (low > 0) | (high < 0)
        if margin is not None:
            settled |= (lower >= -margin) & (upper <= margin)
        return bool(settled.mean() >= POWER)

    if not settles(MAX_MORE_SEEDS):
        return None
    too_few, enough = 0, MAX_MORE_SEEDS
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if settles(middle) else (middle, enough)
    return enough


def subset_means(differences: Array) -> Array:
    """[studies, subsets]: the mean of every non-empty subset of the pairs, or of a random sample of subsets."""
    num_studies, num_pairs = differences.shape
    if num_pairs > MAX_EXACT:
        return _sampled_means(differences)
    sums, sizes = np.zeros((num_studies, 1)), np.zeros(1)
    for pair in range(num_pairs):
        sums = np.concatenate([sums, sums + differences[:, pair : pair + 1]], axis=1)
        sizes = np.concatenate([sizes, sizes + 1])
    found: Array = sums[:, 1:] / sizes[1:]
    return found


def _sampled_means(differences: Array) -> Array:
    """One row at a time, so that a study's means do not depend on the others', for some subsets at a time, so that
    these stay in the processor's cache from one row to the next."""
    chosen, sizes = _sampled_subsets(differences.shape[1])
    found = np.empty((len(differences), len(sizes)))
    for start in range(0, len(sizes), NUM_CACHED):
        part = slice(start, start + NUM_CACHED)
        for row, mean in zip(differences[:, None], found, strict=True):
            mean[part] = (row @ chosen[:, part])[0] / sizes[part]
    return found


@lru_cache(maxsize=1)
def _sampled_subsets(num_pairs: int) -> tuple[Array, Array]:
    """[pairs, subsets] of zeros and ones, and the sizes of the subsets; the same for every test of so many pairs.

    Only the last is kept, 50 MB for 100 pairs: who tests many studies takes those of as many pairs together.
    """
    chosen = np.random.default_rng(2).random((NUM_SAMPLED, num_pairs)) < 0.5
    chosen[~chosen.any(axis=1)] = True
    found = chosen.T.astype(float)
    sizes: Array = found.sum(axis=0)
    for array in (found, sizes):
        array.setflags(write=False)
    return found, sizes


def _ends(means: Array, level: float) -> tuple[Array, Array]:
    """The k-th smallest and the k-th largest subset mean of each study, k = floor(level / 2 x flips)."""
    num_subsets = means.shape[1]
    rank = math.floor(level * (num_subsets + 1) / 2 + ROUNDING)
    if rank == 0:
        return np.full(len(means), -np.inf), np.full(len(means), np.inf)
    places = sorted({rank - 1, num_subsets - rank})
    ordered = np.partition(means, places, axis=1)
    return ordered[:, places[0]], ordered[:, places[-1]]


def _simulated_ends(drawn: Array, levels: tuple[float, ...]) -> list[tuple[Array, Array]]:
    """The ends of the interval at each level; Student's beyond `MAX_SIMULATED` pairs."""
    num_pairs = drawn.shape[1]
    if num_pairs <= MAX_SIMULATED:
        means = subset_means(drawn)
        return [_ends(means, level) for level in levels]
    mean, error = drawn.mean(axis=1), drawn.std(axis=1, ddof=1) / math.sqrt(num_pairs)
    reaches = [_student_quantile(1 - level / 2, num_pairs - 1) * error for level in levels]
    return [(mean - reach, mean + reach) for reach in reaches]


def _student_quantile(probability: float, freedom: int) -> float:
    """Student's t by Fisher's expansion around the normal quantile; within 0.1 % from 10 degrees of freedom on.

    >>> round(_student_quantile(0.975, 12), 3), round(_student_quantile(0.975, 30), 3)
    (2.179, 2.042)
    """
    z = NormalDist().inv_cdf(probability)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
