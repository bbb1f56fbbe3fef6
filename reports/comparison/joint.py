"""Which of several items the paired seeds tell apart, all pairs at once and whichever was chosen for being the best.

If no two items differ, every seed's differences are as likely with all their signs turned (Fisher 1935). Turning them
together for all pairs keeps what the pairs have in common, and the largest statistic over all pairs is what each pair
has to beat (Westfall and Young 1993, Resampling-Based Multiple Testing, single-step maxT): the probability of calling
any two items different that are not is at most the level, where noise is symmetric. The statistic of a pair is
|sum of differences| / root of the sum of their squares, whose denominator no turn changes.
"""

import itertools

import numpy as np

from reports.sign_flip import ROUNDING, Array

MAX_EXACT = 14
"""Seeds up to which all turns are taken; beyond, `NUM_SAMPLED` random ones (the test still keeps its level)."""
NUM_SAMPLED = 2**13 - 1


def joint_p(values: Array) -> Array:
    """[items, items]: the p of each pair, adjusted for all pairs; 1 on the diagonal.

    Args:
        values: [items, seeds], at least one of each.

    >>> joint_p(np.array([[1.0] * 6, [2.0] * 6])).round(3).tolist()
    [[1.0, 0.031], [0.031, 1.0]]
    """
    num_items, num_seeds = values.shape
    found = np.ones((num_items, num_items))
    places = list(itertools.combinations(range(num_items), 2))
    if not places:
        return found
    differences = np.array([values[one] - values[other] for one, other in places])  # (pairs, seeds)
    scale = np.sqrt((differences**2).sum(axis=1, keepdims=True))
    scaled = np.divide(differences, scale, out=np.zeros_like(differences), where=scale > 0)
    largest = np.abs(_turns(num_seeds) @ scaled.T).max(axis=1)  # (turns,)
    observed = np.abs(scaled.sum(axis=1))
    # The turn that changes nothing is one of all, and one more than all that are sampled.
    extra = 0 if num_seeds <= MAX_EXACT else 1
    for (one, other), statistic in zip(places, observed.tolist(), strict=True):
        beyond = int((largest >= statistic * (1 - ROUNDING)).sum()) + extra
        found[one, other] = found[other, one] = beyond / (len(largest) + extra)
    return found


def _turns(num_seeds: int) -> Array:
    """[turns, seeds] of 1 and -1."""
    if num_seeds <= MAX_EXACT:
        return np.array(list(itertools.product((1.0, -1.0), repeat=num_seeds)))
    drawn: Array = np.random.default_rng(3).choice((1.0, -1.0), size=(NUM_SAMPLED, num_seeds))
    return drawn
