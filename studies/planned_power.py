"""What the planned seeds or sessions of a study can show of each claim, before anything runs. Imports no torch."""

from collections.abc import Sequence
from typing import Any

from search.claim import LEVEL
from search.study import Ablation, Scale

SEEN_DEVIATIONS: dict[tuple[Scale, str], float] = {("cpu", "seeds"): 3.4, ("cpu", "sessions"): 0.003}
"""Standard deviation of the paired differences: the median over the claims of the first run of the paper's studies at a
scale (studies/LOG.md, 2026-11-25), in points of accuracy and in ratio to the reference. Not known at other scales."""


def planned_power(study: Ablation) -> list[dict[str, Any]]:
    """One entry a claim: what 4 of 5 studies would show at the strictest level that Holm's method may hold it to.

    `detectable_deviations` counts standard deviations of the paired difference. Of a claim that something is greater it
    is the smallest true difference for which each part is reproduced, of the others the smallest margin within which
    each part is, if there is truly no difference. `detectable` is that in the metric's unit, missing where no deviation
    was seen at the scale.
    """
    from reports.forecast import detectable

    found = []
    for claim in study.claims:
        num_blocks = len(study.seeds) if claim.blocks == "seeds" else study.latency_sessions
        deviations = detectable(claim, 1.0, num_blocks, LEVEL / len(study.claims))
        seen = SEEN_DEVIATIONS.get((study.scale, claim.blocks))
        found.append(
            {
                "name": claim.name,
                "says": claim.says,
                "source": claim.source,
                "test": claim.test,
                "margin": claim.margin,
                "blocks": claim.blocks,
                "num_blocks": num_blocks,
                "detectable_deviations": deviations,
                "detectable": None if deviations is None or seen is None else deviations * seen,
            }
        )
    return found


def power_lines(claims: Sequence[dict[str, Any]]) -> list[str]:
    """The claims for people, each with what it takes to be reproduced."""
    if not claims:
        return []
    lines = ["  claims, fixed before the run, and what would show in 4 of 5 studies (SD: of the paired difference):"]
    for claim in claims:
        tested = f"{claim['test']}, margin {claim['margin']:g}, {claim['num_blocks']} {claim['blocks']}"
        lines += [f"    {claim['name']}: {claim['says']}", f"      {tested}: {_shown(claim)}"]
    return lines


def _shown(claim: dict[str, Any]) -> str:
    deviations, size = claim["detectable_deviations"], claim["detectable"]
    if deviations is None:
        return "can reach no verdict"
    unit = "points" if claim["blocks"] == "seeds" else "of the reference's latency"
    known = "" if size is None else f", about {size:.2g} {unit} as spread was at this scale"
    if claim["test"] == "greater":
        return f"a difference of {deviations:.1f} SD{known}"
    return f"a true difference of nothing, if the margin is at least {deviations:.1f} SD{known}"
