"""What the studies of the paper's tables share: eight seeds, margins with their reasons, the scale's latency case."""

from collections.abc import Mapping
from typing import Any

from search.claim import Claim
from search.data.spec import DataSpec
from search.study import Ablation, Arm, Scale, Study
from search.trial import TrialSpec
from studies.scales import SIZES, latency_case, scaling

NUM_SEEDS = 8
"""They carry six claims: 6 x 2^(1 - 8) = 0.047."""
NUM_SESSIONS = 8
"""Measuring sessions of a study with claims on latency."""
SMALLEST_EFFECT = 1.0

GAIN: dict[str, Any] = {
    "margin": 0.3,
    "margin_because": "the smallest difference that the paper calls a gain (MNLI +0.3 by PD, SQuAD F1 +0.3 by PKT)",
}
"""Points of accuracy within which a directed difference is none."""
NO_LOSS: dict[str, Any] = {
    "margin": 1.0,
    "margin_because": "the smallest difference in mean accuracy that matters, as in every study here; the paper's own "
    '"no loss" is 0.1 to 0.3 points of one run',
}
"""Points of accuracy within which something costs nothing."""


def judged(
    study: Study,
    scale: Scale,
    data: DataSpec,
    arms: Mapping[str, tuple[str, TrialSpec]],
    claims: tuple[Claim, ...],
    **fields: Any,
) -> Ablation:
    """An ablation of the paper's claims.

    Args:
        arms: name to (why, trial); the first is the baseline and the latency reference.
        fields: further ones of Ablation.
    """
    return Ablation(
        name=study.name,
        question=study.question,
        scale=scale,
        arms=tuple(Arm(name=name, because=because, spec=spec) for name, (because, spec) in arms.items()),
        seeds=(0, 1) if scale == "smoke" else tuple(range(NUM_SEEDS)),
        smallest_effect=SMALLEST_EFFECT,
        latency=latency_case(scale, data),
        latency_rounds=SIZES[scale].latency_rounds,
        latency_control_width=SIZES[scale].latency_control_width,
        scaling=scaling(scale, data),
        claims=claims,
        **fields,
    )
