"""A self-test of the verdicts on synthetic truth: how often is one false, and how often is a true claim reproduced?

Accuracies are drawn with known effects, and judged by the code that judges real runs (`reports/evidence.py` and
`reports/decision.py`), many studies at once. Effects and margins are in standard deviations of a paired difference.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reports.decision import OUTCOMES, Outcome, first_verdicts, judge_family
from reports.evidence import evidence
from reports.sign_flip import Array
from search.claim import LEVEL, Claim, Part

Noise = Literal["normal", "heavy-tailed", "bimodal", "diverging", "skewed, unequal"]
LOST = 0.1
"""Share of runs that diverge where some do."""
DROPPED, DROP = 0.15, 4.0
"""Share of bimodal runs that end low, and by how many standard deviations of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A study whose answer is known."""

    name: str
    claims: tuple[Claim, ...]
    means: Mapping[str, float]
    """Of each arm."""
    noise: Noise = "normal"
    looks: tuple[int, ...] = (8,)
    """Seeds after each look; one look is a study without looks."""
    bounded: bool = True
    """Whether the false-verdict rate must keep its level: differences scatter symmetrically around their means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares of the simulated studies."""

    num_studies: int
    false: float
    """With some false verdict on some claim."""
    outcomes: tuple[dict[Outcome, float], ...]
    """Of each claim."""

    @property
    def error(self) -> float:
        """The standard error of `false`, taken where it matters: at the level."""
        return math.sqrt(LEVEL * (1 - LEVEL) / self.num_studies)


def rates(truth: Truth, num_studies: int, seed: int = 0) -> Rates:
    """Simulate studies and judge them.

    Args:
        seed: of everything that is drawn.
    """
    drawn = draw(truth, num_studies, seed)
    tests = [claim.test for claim in truth.claims]
    families = []
    for count in truth.looks:
        parts = [
            [evidence(contrast(drawn, part)[:, :count], claim.margin) for part in claim.parts] for claim in truth.claims
        ]
        families.append(judge_family(tests, parts, LEVEL / len(truth.looks)))
    first = first_verdicts(families)
    outcome = np.take_along_axis(np.stack([family.outcome for family in families]), first[None], axis=0)[0]
    wrong = np.zeros(num_studies, dtype=bool)
    for place, claim in enumerate(truth.claims):
        effects = [sum(term.weight * truth.means[term.arm] for term in part) for part in claim.parts]
        false = [outcome_is_false(claim, effects, name) for name in OUTCOMES]
        wrong |= np.array(false)[outcome[:, place]]
    return Rates(
        num_studies=num_studies,
        false=float(wrong.mean()),
        outcomes=tuple(
            {name: float((outcome[:, place] == number).mean()) for number, name in enumerate(OUTCOMES)}
            for place in range(len(truth.claims))
        ),
    )


def outcome_is_false(claim: Claim, effects: Sequence[float], outcome: Outcome) -> bool:
    """Whether a verdict says what is not so; effects on the border of a statement do not fulfil it.

    >>> from search.claim import beats
    >>> about = {"name": "a", "says": "a is better than b", "source": "", "margin_because": ""}
    >>> claim = Claim(**about, test="greater", margin=1.0, parts=(beats("a", "b"),))
    >>> [outcome_is_false(claim, [0.0], name) for name in ("reproduced", "contradicted", "equivalent")]
    [True, True, False]
    """
    margin = claim.margin
    within, beyond = [abs(one) < margin for one in effects], [abs(one) > margin for one in effects]
    holds = {
        ("greater", "reproduced"): all(one > 0 for one in effects),
        ("greater", "contradicted"): any(one < 0 for one in effects),
        ("greater", "equivalent"): any(within) and all(one > -margin for one in effects),
        ("equivalent", "reproduced"): all(within),
        ("equivalent", "contradicted"): any(beyond),
        ("not less", "reproduced"): all(one > -margin for one in effects),
        ("not less", "contradicted"): any(one < -margin for one in effects),
    }
    return not holds.get((claim.test, outcome), True)


def draw(truth: Truth, num_studies: int, seed: int) -> dict[str, Array]:
    """The accuracy of each arm, [studies, seeds], not-a-number where the run diverged; what a seed shares is added."""
    rng = np.random.default_rng(seed)
    shape = (num_studies, truth.looks[-1])
    shared = 3.0 * rng.normal(size=shape)
    return {
        arm: mean + shared + SHAPES[truth.noise](rng, shape, place) / math.sqrt(2)
        for place, (arm, mean) in enumerate(truth.means.items())
    }


def contrast(drawn: Mapping[str, Array], part: Part) -> Array:
    """The differences of a part, [studies, seeds]."""
    found: Array = np.sum([term.weight * drawn[term.arm] for term in part], axis=0)
    return found


def _bimodal(rng: np.random.Generator, shape: tuple[int, int], arm: int) -> Array:
    low = rng.random(shape) < DROPPED
    spread = math.sqrt(1 + DROP**2 * DROPPED * (1 - DROPPED))
    found: Array = (rng.normal(size=shape) - DROP * (low - DROPPED)) / spread
    return found


def _diverging(rng: np.random.Generator, shape: tuple[int, int], arm: int) -> Array:
    lost: NDArray[np.bool_] = rng.random(shape) < LOST
    return np.where(lost, np.nan, rng.normal(size=shape))


def _unequal(rng: np.random.Generator, shape: tuple[int, int], arm: int) -> Array:
    """The first arm hardly varies, every later one has a long tail to low accuracies."""
    return 0.2 * rng.normal(size=shape) if arm == 0 else 1.4 * (1 - rng.exponential(size=shape))


SHAPES: dict[Noise, Callable[[np.random.Generator, tuple[int, int], int], Array]] = {
    "normal": lambda rng, shape, arm: rng.normal(size=shape),
    "heavy-tailed": lambda rng, shape, arm: rng.standard_t(3, size=shape) / math.sqrt(3),
    "bimodal": _bimodal,
    "diverging": _diverging,
    "skewed, unequal": _unequal,
}
"""Noise of one run with standard deviation 1 (a paired difference then has 1 too): of a generator, shape and arm."""
