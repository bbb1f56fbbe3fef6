"""How many more seeds would bring a verdict on a claim, taking what was observed for the truth.

The differences of all parts are simulated together, as normal numbers with the means and the covariance seen (seed
fixed), and judged by the rule of `reports/decision.py`.
"""

import numpy as np

from reports.decision import decide
from reports.evidence import evidence, likely_evidence
from reports.sign_flip import MAX_MORE_SEEDS, MAX_SIMULATED, NUM_STUDIES, POWER, Array, detectable_noise
from search.claim import LEVEL, Claim, Test


def more_to_settle(test: Test, margin: float, differences: Array, level: float) -> int | None:
    """How many more blocks bring some verdict in 80 % of studies; None for more than 64.

    Args:
        differences: [parts, blocks], at least two blocks, none missing.
        level: of the claim in its family.
    """
    num_parts, num_blocks = differences.shape
    covariance = np.atleast_2d(np.cov(differences, ddof=1))
    values, vectors = np.linalg.eigh(covariance)
    spread = vectors * np.sqrt(np.clip(values, 0.0, None))
    shape = (NUM_STUDIES // 2, num_blocks + MAX_MORE_SEEDS, num_parts)
    drawn = np.random.default_rng(1).normal(size=shape) @ spread.T + differences.mean(axis=1)

    def settles(more: int) -> bool:
        test_of = evidence if num_blocks + more <= MAX_SIMULATED else likely_evidence
        parts = [test_of(drawn[:, : num_blocks + more, part], margin) for part in range(num_parts)]
        outcome = decide(test, parts, np.full(len(drawn), level))
        return bool((outcome != 0).mean() >= POWER)

    if not settles(MAX_MORE_SEEDS):
        return None
    too_few, enough = 0, MAX_MORE_SEEDS
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if settles(middle) else (middle, enough)
    return enough


def detectable(claim: Claim, deviation: float, num_blocks: int, level: float = LEVEL) -> float | None:
    """What planned blocks can show of each part in 4 of 5 studies; None where no effect, however large, could be.

    Of a claim that something is greater, the smallest true difference for which it would be reproduced. Of a claim
    that something costs nothing, the smallest margin within which it would be, if there is truly no difference.

    Args:
        deviation: standard deviation of the paired difference.
        level: of the claim in its family: Holm's strictest is 5 % over the number of claims.
    """
    ends = detectable_noise(num_blocks, level)
    if ends is None:
        return None
    low, high = ends
    needed = np.maximum(-low, high) if claim.test == "equivalent" else -low
    return deviation * float(np.quantile(needed, POWER))
