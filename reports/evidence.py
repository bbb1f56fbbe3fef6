"""How strongly paired differences speak for a mean above or below three marks: zero, and the margin on either side.

Knows nothing of claims, arms or records: numbers in, p-values out, for many studies at once. Every p here is twice the
one-sided one of the exact sign-flip test, so that all of them go with one interval: the mean is above a mark at a level
exactly where the whole interval at 1 - level is.

Legend: n pairs in a study; a mark is a value that the mean is compared with.
"""

import math
from dataclasses import dataclass

import numpy as np

from reports.sign_flip import ROUNDING, Array, subset_means

MAX_NUMBERS = 2**22
"""Subset means held at once: 32 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One p per study and direction; 1 where a study has no pair. `lower` is minus the margin, `upper` the margin."""

    above_lower: Array
    below_lower: Array
    above_zero: Array
    below_zero: Array
    above_upper: Array
    below_upper: Array

    @property
    def inside(self) -> Array:
        """That the mean lies within the margin on both sides: two one-sided tests, the larger p of both."""
        return np.maximum(self.above_lower, self.below_upper)

    @property
    def outside(self) -> Array:
        """That the mean lies beyond the margin on one of the sides."""
        return np.minimum(self.below_lower, self.above_upper)


def evidence(differences: Array, margin: float) -> Evidence:
    """The exact sign-flip tests of differences against the three marks.

    Args:
        differences: [studies, n], not-a-number where a pair was lost.
        margin: above 0.
    """
    kept = ~np.isnan(differences)
    found = np.ones((6, len(differences)))
    counts = kept.sum(axis=1)
    for count in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == count)
        compact = differences[rows][kept[rows]].reshape(len(rows), count)
        chunk = max(1, MAX_NUMBERS >> min(count, 20))
        for start in range(0, len(rows), chunk):
            found[:, rows[start : start + chunk]] = _exact(compact[start : start + chunk], margin)
    return _named(found)


def likely_evidence(differences: Array, margin: float) -> Evidence:
    """The same by Student's t test, which flipping comes close to: for forecasts of many pairs, not for verdicts.

    Args:
        differences: [studies, n] with n of at least 2, none missing.
    """
    from scipy.special import stdtr

    num_pairs = differences.shape[1]
    mean, error = differences.mean(axis=1), differences.std(axis=1, ddof=1) / math.sqrt(num_pairs)
    found = []
    for mark in (-margin, 0.0, margin):
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.nan_to_num((mean - mark) / error, nan=0.0, posinf=np.inf, neginf=-np.inf)
        found += [np.minimum(1.0, 2 * stdtr(num_pairs - 1, sign * statistic)) for sign in (-1, 1)]
    return _named(np.array(found))


def _exact(differences: Array, margin: float) -> Array:
    means = subset_means(differences)
    num_flips = means.shape[1] + 1
    tie = ROUNDING * np.maximum(np.abs(differences).max(axis=1, keepdims=True), margin)
    found = []
    for mark in (-margin, 0.0, margin):
        not_above, not_below = (means <= mark + tie).sum(axis=1), (means >= mark - tie).sum(axis=1)
        found += [np.minimum(1.0, 2 * (1 + count) / num_flips) for count in (not_above, not_below)]
    return np.array(found)


def _named(found: Array) -> Evidence:
    return Evidence(
        above_lower=found[0],
        below_lower=found[1],
        above_zero=found[2],
        below_zero=found[3],
        above_upper=found[4],
        below_upper=found[5],
    )
