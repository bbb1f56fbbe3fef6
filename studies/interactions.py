"""Which of the paper's conclusions flip when another factor changes?

The paper varies one factor at a time. Here five vary together, in a half fraction of the 32 combinations (resolution V:
no main effect and no interaction of two factors is confounded with another of these): stacked feed-forwards, bottleneck
width, heads, normalisation, and feature-map transfer, whose level is the product of the other four's (Box, Hunter and
Hunter 2005, Statistics for Experimenters, chapter 6).
"""

import itertools
from dataclasses import replace

from search.claim import Claim, Part, Term
from search.data.spec import DataSpec
from search.study import Ablation, Equal, Scale, Study
from search.trial import TrialSpec
from studies import recipes
from studies.judged import NO_LOSS, judged
from studies.scales import sources
from studies.students import mobilebert

FACTORS = ("stacked feed-forwards", "bottleneck width", "heads", "normalisation", "feature-map transfer")
LEVELS = (("1 FFN", "4 FFN"), ("narrow", "wide"), ("2 heads", "4 heads"), ("LayerNorm", "NoNorm"), ("PD", "PD + FMT"))
"""Low and high of each factor."""
Signs = tuple[int, ...]
"""One of -1 and 1 for each factor: an arm."""


def half_fraction() -> tuple[Signs, ...]:
    """Sixteen combinations of five factors; the last factor's level is the product of the others'.

    >>> half_fraction()[0]
    (-1, -1, -1, -1, 1)
    """
    return tuple((a, b, c, d, a * b * c * d) for a, b, c, d in itertools.product((-1, 1), repeat=4))


def arm_name(signs: Signs) -> str:
    """The levels of an arm.

    >>> arm_name((1, -1, 1, 1, -1))
    '4 FFN, narrow, 4 heads, NoNorm, PD'
    """
    return ", ".join(LEVELS[factor][sign > 0] for factor, sign in enumerate(signs))


def interaction(first: int, second: int) -> Part:
    """How much more the first factor does at the second's high level than at its low one, in the metric's unit."""
    return tuple(Term(arm=arm_name(signs), weight=signs[first] * signs[second] / 4) for signs in half_fraction())


def _holds(first: int, second: int) -> Claim:
    what, other = FACTORS[first], FACTORS[second]
    return Claim(
        name=f"{what}-whatever-{other}".replace(" ", "-"),
        says=f"what {what} does is the same whatever the {other}",
        source="Sun et al. 2020 vary one factor at a time (Tables 3, 7 and 9) and conclude for all",
        test="equivalent",
        parts=(interaction(first, second),),
        **NO_LOSS,
    )


CLAIMS = (*(_holds(4, other) for other in range(4)), _holds(3, 0), _holds(0, 1))
"""The four of feature-map transfer; NoNorm's with the stack; the stack's with width."""


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Sixteen arms. The first has all factors at their low level but feature-map transfer, which it has."""
    arms = {
        arm_name(signs): ("a corner of the half fraction", _corner(scale, data, signs)) for signs in half_fraction()
    }
    return judged(STUDY, scale, data, arms, CLAIMS, equal=(Equal(what="student_updates", tolerance=0.0),))


def _corner(scale: Scale, data: DataSpec, signs: Signs) -> TrialSpec:
    stacked, wide, heads, no_norm, transferred = (sign > 0 for sign in signs)
    spec = mobilebert(scale, data, recipes.without_attention if transferred else recipes.distilled)
    width = spec.encoder.bottleneck_size * (2 if wide else 1)
    student = replace(
        spec.encoder,
        num_feed_forward=4 if stacked else 1,
        bottleneck_size=width,
        feed_forward_size=4 * width,
        num_heads=4 if heads else 2,
        norm="no_norm" if no_norm else "layer_norm",
    )
    return replace(spec, student=student)


STUDY = Study(
    name="interactions",
    question="Which of the paper's conclusions flip when another factor changes?",
    sources=sources,
    declare=declare,
)
