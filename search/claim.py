"""A conclusion of a paper as a value: what is compared, how it is tested and what would count, fixed before any run.

A claim is about contrasts of arms. Each of its parts is a weighted sum of arms' metrics inside one block (a seed, or a
measuring session), so `arm minus other` is one form and "this step gains more than the next one" another. A claim of
several parts holds where every part does: its p is the largest of theirs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Test = Literal["greater", "not less", "equivalent"]
Blocks = Literal["seeds", "sessions"]

LEVEL = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One arm's metric in a contrast."""

    arm: str
    weight: float
    metric: str = "accuracy"
    """As in trial files: `accuracy`, `agreement/accuracy`, `onnx-int8/accuracy`, `latency_ratio`."""


Part = tuple[Term, ...]
"""One contrast: its weights sum to zero, so that what all arms share cancels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One conclusion, with everything that its verdict depends on but the data."""

    name: str
    """Short, for tables and files: `feature-maps-gain-most`."""
    says: str
    """One plain sentence, true if the claim is."""
    source: str
    """Where it is made: `Sun et al. 2020, Table 9`."""
    test: Test
    """`greater`: every part is above zero (exact sign-flip test); `not less`: above minus the margin; `equivalent`:
    within the margin on both sides (two one-sided tests)."""
    margin: float
    """The smallest difference that matters, in the metric's unit (points of accuracy; ratio to the reference)."""
    margin_because: str
    """Why this margin."""
    parts: tuple[Part, ...]
    blocks: Blocks = "seeds"
    """What is paired: seeds for accuracy, measuring sessions for latency."""

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"claim {self.name!r}: a margin must be above 0, got {self.margin}")
        if not self.parts:
            raise ValueError(f"claim {self.name!r} needs at least one part, got none")
        for part in self.parts:
            total = sum(term.weight for term in part)
            if abs(total) > ROUNDING or not any(term.weight for term in part):
                raise ValueError(
                    f"claim {self.name!r}: the weights of a part must sum to 0 and not all be 0, got "
                    f"{', '.join(f'{term.weight:g} {term.arm}' for term in part)}"
                )

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm that it speaks of, once, in order."""
        return tuple(dict.fromkeys(term.arm for part in self.parts for term in part))


def beats(arm: str, other: str, metric: str = "accuracy") -> Part:
    """The contrast `arm` minus `other` in a metric.

    >>> [term.weight for term in beats("PKT", "AKT")]
    [1.0, -1.0]
    """
    return (Term(arm=arm, weight=1.0, metric=metric), Term(arm=other, weight=-1.0, metric=metric))


def gains_more(step: tuple[str, str], other: tuple[str, str], metric: str = "accuracy") -> Part:
    """The contrast of two steps, each (to, from): what the first gains minus what the other gains.

    >>> [(term.arm, term.weight) for term in gains_more(("c", "b"), ("b", "a"))]
    [('c', 1.0), ('b', -2.0), ('a', 1.0)]
    """
    weights: dict[str, float] = {}
    for sign, (to, start) in ((1.0, step), (-1.0, other)):
        weights[to] = weights.get(to, 0.0) + sign
        weights[start] = weights.get(start, 0.0) - sign
    return tuple(Term(arm=arm, weight=weight, metric=metric) for arm, weight in weights.items() if weight)


def check_claims(study: str, claims: Sequence[Claim], arms: Collection[str]) -> None:
    """Raises ValueError for two claims of one name, or an arm that the study has not."""
    names = [claim.name for claim in claims]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f"{study}: every claim must have a name of its own, got {repeated[0]!r} twice")
    for claim in claims:
        unknown = [arm for arm in claim.arms if arm not in arms]
        if unknown:
            raise ValueError(
                f"{study}: claim {claim.name!r} speaks of {unknown[0]!r}, which is no arm; arms are {', '.join(arms)}"
            )


def check_blocks(study: str, claims: Sequence[Claim], num_blocks: Mapping[Blocks, int], num_looks: int = 1) -> None:
    """Refuse a family that cannot reach a verdict.

    Holm's first step multiplies the smallest p by the number of claims, and no two-sided sign-flip p of n blocks is
    below 2^(1 - n): eight seeds carry six claims.

    Args:
        num_blocks: how many seeds and measuring sessions are planned, at the last look.
        num_looks: how often the verdicts are looked at, each time at an equal share of the level.

    Raises:
        ValueError: too few of either.
    """
    for blocks in dict.fromkeys(claim.blocks for claim in claims):
        floor = 2.0 ** (1 - num_blocks[blocks]) * len(claims)
        if floor > LEVEL / num_looks:
            raise ValueError(
                f"{study}: {num_blocks[blocks]} {blocks} cannot reach a verdict on {len(claims)} claims (smallest "
                f"possible p {floor:.3f}, needed {LEVEL / num_looks:.2g}); use more {blocks} or fewer claims"
            )
