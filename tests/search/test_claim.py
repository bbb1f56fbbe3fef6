"""Claims as values: what can be said, and which families cannot reach a verdict."""

import re
from dataclasses import replace
from typing import Any

import pytest

from search.claim import Claim, Term, beats, check_blocks, check_claims, gains_more
from search.study import plan
from search.values import from_json, to_json


def make_claim(name: str = "better", **changes: Any) -> Claim:
    fields: dict[str, Any] = {
        "name": name,
        "says": "relu is better than gelu",
        "source": "nowhere",
        "test": "greater",
        "margin": 1.0,
        "margin_because": "a point is what a reader would see",
        "parts": (beats("relu", "gelu"),),
    }
    return Claim(**{**fields, **changes})


def test_a_claim_survives_the_study_file() -> None:
    claim = make_claim(parts=(beats("relu", "gelu"), beats("gelu", "relu", "latency_ratio")), blocks="sessions")
    assert from_json(Claim, to_json(claim)) == claim


def test_a_step_that_gains_more_is_a_contrast_whose_shared_arm_counts_twice() -> None:
    part = gains_more(("PD + FMT", "PD"), ("PD", "bare"))
    assert {term.arm: term.weight for term in part} == {"PD + FMT": 1.0, "PD": -2.0, "bare": 1.0}
    assert make_claim(parts=(part,)).arms == ("PD + FMT", "PD", "bare")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": 0.0}, "claim 'better': a margin must be above 0, got 0.0"),
        ({"parts": ()}, "claim 'better' needs at least one part, got none"),
        (
            {"parts": ((Term(arm="relu", weight=1.0), Term(arm="gelu", weight=-0.5)),)},
            "claim 'better': the weights of a part must sum to 0 and not all be 0, got 1 relu, -0.5 gelu",
        ),
        (
            {"parts": ((Term(arm="relu", weight=0.0),),)},
            "claim 'better': the weights of a part must sum to 0 and not all be 0, got 0 relu",
        ),
    ],
)
def test_a_claim_that_compares_nothing_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_claim(**changes)


def test_claims_that_share_a_name_or_speak_of_no_arm_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^tiny: every claim must have a name of its own, got 'better' twice$"):
        check_claims("tiny", (make_claim(), make_claim()), ("gelu", "relu"))
    with pytest.raises(
        ValueError, match=r"^tiny: claim 'better' speaks of 'relu', which is no arm; arms are gelu, tanh$"
    ):
        check_claims("tiny", (make_claim(),), ("gelu", "tanh"))


@pytest.mark.parametrize(
    ("num_claims", "num_seeds", "enough"), [(6, 8, True), (7, 8, False), (1, 6, True), (2, 6, False)]
)
def test_eight_seeds_carry_six_claims(num_claims: int, num_seeds: int, enough: bool) -> None:
    claims = tuple(make_claim(str(number)) for number in range(num_claims))
    counts = {"seeds": num_seeds, "sessions": 1}
    if enough:
        check_blocks("tiny", claims, counts)
        return
    floor = f"{num_claims * 2.0 ** (1 - num_seeds):.3f}"
    message = (
        f"tiny: {num_seeds} seeds cannot reach a verdict on {num_claims} claims (smallest possible p {floor}, "
        "needed 0.05); use more seeds or fewer claims"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_blocks("tiny", claims, counts)


def test_a_plan_with_claims_counts_claims_not_arms_and_sessions_for_latency(make_ablation: Any) -> None:
    latency = make_claim("faster", parts=(beats("gelu", "relu", "latency_ratio"),), blocks="sessions")
    study = make_ablation(claims=(latency,), latency_sessions=6)
    assert len(plan(study)) == 12
    with pytest.raises(ValueError, match=r"^tiny-ablation: 1 sessions cannot reach a verdict on 1 claims"):
        plan(replace(study, latency_sessions=1))
    with pytest.raises(ValueError, match=r"speaks of 'tanh', which is no arm"):
        plan(replace(study, scale="smoke", claims=(make_claim(parts=(beats("tanh", "relu"),)),)))
