"""From evidence to verdicts: one rule for a claim, and Holm's for a family of them, for many studies at once.

The rule, which the page's methods text repeats. Every verdict is read off the interval of the mean of each part (all
means that the exact sign-flip test does not reject) at the level that Holm grants the claim:

- `greater`: the claim is reproduced where every part's interval is above zero, equivalent where every part's is above
  zero or within the margin and one of them is within it, contradicted where else some part's is below zero;
- `equivalent`: reproduced where every part's interval is within the margin (two one-sided tests at half the level
  each), contradicted where some part's is beyond it on one side;
- `not less`: reproduced where every part's interval is above minus the margin, contradicted where some part's is below
  it;
- otherwise inconclusive.

What must hold for every part needs no correction: the p of a conjunction is the largest of its parts'. What may hold
for any part is tried once a part, so its p is the smallest times their number. A claim's p is the smallest level at
which it has a verdict of any kind. Holm takes the claims from the smallest p on: the first of m at the level over m,
the next at the level over m - 1, until one has no verdict; the others are shown at the level of that step.

No verdict is false unless an interval misses its mean, so that the probability of one is at most the level for a claim
whose differences scatter symmetrically around their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reports.evidence import Evidence
from reports.sign_flip import Array, holm
from search.claim import Test

Outcome = Literal["reproduced", "contradicted", "equivalent", "inconclusive"]
OUTCOMES: tuple[Outcome, ...] = ("inconclusive", "reproduced", "contradicted", "equivalent")
"""The place of each is its number in arrays."""
ROUNDING = 1e-9
"""A p is a count over a power of two, a level is a share of 5 %: equal ones may differ by this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """[studies, claims] each."""

    p: Array
    """The smallest level at which the claim alone has a verdict."""
    p_holm: Array
    """Adjusted over the family; compare with the level of the whole."""
    level: Array
    """What Holm grants: at which the claim was judged."""
    outcome: NDArray[np.int64]
    """Places in `OUTCOMES`."""


def smallest_level(test: Test, parts: Sequence[Evidence]) -> Array:
    """The smallest level at which a claim has a verdict of any kind, one per study."""
    every, some = _p_values(test, parts)
    return np.minimum(1.0, np.minimum(every, some))


def decide(test: Test, parts: Sequence[Evidence], level: Array) -> NDArray[np.int64]:
    """The verdict on a claim in each study, as places in `OUTCOMES`.

    Args:
        parts: one per part of the claim.
        level: [studies], two-sided.
    """
    every, some = _p_values(test, parts)
    holds, fails = at_most(every, level), at_most(some, level)
    found = np.where(holds, OUTCOMES.index("reproduced"), np.where(fails, OUTCOMES.index("contradicted"), 0))
    if test == "greater":
        within = np.any([at_most(len(parts) * part.inside, level) for part in parts], axis=0)
        found = np.where(holds & within, OUTCOMES.index("equivalent"), found)
    return found


def judge_family(tests: Sequence[Test], parts: Sequence[Sequence[Evidence]], level: float) -> Family:
    """Judge all claims of a study together.

    Args:
        tests: one per claim.
        parts: of each claim.
        level: of the whole family: the probability of any false verdict.
    """
    p = np.stack([smallest_level(test, of_claim) for test, of_claim in zip(tests, parts, strict=True)], axis=-1)
    adjusted = holm(p)
    num_claims = p.shape[-1]
    # The claim at place r has 1 of m - r shares; all that are left without a verdict, that of the first of them.
    places = np.argsort(np.argsort(p, axis=-1, kind="stable"), axis=-1)
    decided = at_most(adjusted, level)
    places = np.where(decided, places, decided.sum(axis=-1, keepdims=True))
    granted = level / (num_claims - places)
    outcomes = [
        np.where(decided[:, place], decide(tests[place], parts[place], granted[:, place]), 0)
        for place in range(num_claims)
    ]
    return Family(p=p, p_holm=adjusted, level=granted, outcome=np.stack(outcomes, axis=-1))


def first_verdicts(families: Sequence[Family]) -> NDArray[np.int64]:
    """[studies, claims]: the place of the first look that gives a claim its verdict; the last one's where none does.

    Args:
        families: the same claims at each look, in order, each judged at the level over the number of looks.
    """
    decided = np.stack([family.outcome != 0 for family in families])
    decided[-1] = True
    found: NDArray[np.int64] = decided.argmax(axis=0)
    return found


def at_most(p: Array, level: Array | float) -> NDArray[np.bool_]:
    """Whether p is at most the level, but for rounding."""
    return p <= np.asarray(level) * (1 + ROUNDING)


def support(test: Test, part: Evidence, num_parts: int) -> Array:
    """The p with which one part speaks for a verdict other than contradicted."""
    if test == "equivalent":
        return part.inside
    if test == "not less":
        return part.above_lower
    return np.minimum(part.above_zero, num_parts * part.inside)


def against(test: Test, part: Evidence) -> Array:
    """The p with which one part alone contradicts the claim."""
    return {"greater": part.below_zero, "not less": part.below_lower, "equivalent": part.outside}[test]


def _p_values(test: Test, parts: Sequence[Evidence]) -> tuple[Array, Array]:
    """For a verdict that needs every part, and for a contradiction, which needs one."""
    every = np.max([support(test, part, len(parts)) for part in parts], axis=0)
    some = len(parts) * np.min([against(test, part) for part in parts], axis=0)
    return every, some
