"""The rule of the verdicts: hand-made evidence, and agreement with intervals."""

import numpy as np
import pytest

from reports.decision import OUTCOMES, at_most, decide, judge_family, smallest_level
from reports.evidence import evidence, likely_evidence
from reports.sign_flip import sign_flip

UP = [1.2, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
SMALL = [0.1, 0.2, 0.3, 0.15, 0.25, 0.35, 0.4, 0.45]
NOISE = [3.0, -2.8, 2.5, -2.4, 2.0, -1.9, 1.5, -1.2]


def outcome(test, *parts, margin=1.0, level=0.05):
    proofs = [evidence(np.array([part], dtype=float), margin) for part in parts]
    return OUTCOMES[int(decide(test, proofs, np.array([level]))[0])]


def minus(values):
    return [-value for value in values]


@pytest.mark.parametrize(
    ("test", "parts", "expected"),
    [
        ("greater", [UP], "reproduced"),
        ("greater", [minus(UP)], "contradicted"),
        ("greater", [NOISE], "inconclusive"),
        ("greater", [SMALL], "equivalent"),
        ("greater", [minus(SMALL)], "equivalent"),
        ("greater", [UP, UP], "reproduced"),
        ("greater", [UP, NOISE], "inconclusive"),
        ("greater", [UP, minus(UP)], "contradicted"),
        ("greater", [NOISE, minus(UP)], "contradicted"),
        ("greater", [UP, SMALL], "equivalent"),
        ("greater", [NOISE, SMALL], "inconclusive"),
        ("greater", [SMALL, minus(UP)], "contradicted"),
        ("greater", [NOISE, minus(SMALL)], "contradicted"),
        ("equivalent", [SMALL], "reproduced"),
        ("equivalent", [minus(SMALL)], "reproduced"),
        ("equivalent", [UP], "contradicted"),
        ("equivalent", [minus(UP)], "contradicted"),
        ("equivalent", [NOISE], "inconclusive"),
        ("equivalent", [SMALL, NOISE], "inconclusive"),
        ("equivalent", [SMALL, UP], "contradicted"),
        ("not less", [SMALL], "reproduced"),
        ("not less", [UP], "reproduced"),
        ("not less", [minus(SMALL)], "reproduced"),
        ("not less", [minus(UP)], "contradicted"),
        ("not less", [NOISE], "inconclusive"),
        ("not less", [UP, minus(UP)], "contradicted"),
        ("not less", [UP, NOISE], "inconclusive"),
    ],
)
def test_each_verdict_is_the_one_that_the_rule_says(test, parts, expected):
    assert outcome(test, *parts) == expected


def test_what_may_hold_for_any_part_is_paid_for_by_their_number():
    six = minus(UP)[:6]  # p = 2 / 64, so that twice of it is above 5 %
    assert outcome("greater", six) == "contradicted"
    assert outcome("greater", six, UP[:6]) == "inconclusive"
    assert outcome("greater", UP[:6], UP[:6]) == "reproduced"


@pytest.mark.parametrize("num_pairs", [6, 8, 11])
@pytest.mark.parametrize("level", [0.05, 0.05 / 3, 0.05 / 6])
def test_evidence_against_a_mark_is_where_the_interval_is(num_pairs, level):
    rng = np.random.default_rng(num_pairs)
    differences = rng.normal(size=(400, num_pairs)) * rng.uniform(0.2, 2.0, size=(400, 1)) + rng.normal(size=(400, 1))
    proof, ends = evidence(differences, 0.7), sign_flip(differences, level)
    assert np.array_equal(at_most(proof.above_zero, level), ends.low > 0)
    assert np.array_equal(at_most(proof.below_zero, level), ends.high < 0)
    assert np.array_equal(at_most(proof.inside, level), (ends.low > -0.7) & (ends.high < 0.7))
    assert np.array_equal(at_most(proof.outside, level), (ends.low > 0.7) | (ends.high < -0.7))


def test_lost_pairs_are_left_out_study_by_study():
    whole = np.array([UP, NOISE], dtype=float)
    holed = np.hstack([whole, np.array([[np.nan], [1.0]])])
    found, plain = evidence(holed, 1.0), evidence(whole, 1.0)
    assert found.above_zero[0] == plain.above_zero[0] == 2 / 256
    assert found.above_zero[1] == evidence(holed[1:], 1.0).above_zero[0]
    nothing = evidence(np.full((1, 3), np.nan), 1.0)
    assert (nothing.above_zero[0], nothing.inside[0], nothing.outside[0]) == (1.0, 1.0, 1.0)


def test_differences_of_exactly_the_margin_are_neither_inside_nor_outside():
    proof = evidence(np.full((1, 8), 0.1 + 0.2), 0.3)
    assert (proof.inside[0], proof.outside[0]) == (1.0, 1.0)


def test_the_t_test_is_close_to_flipping_and_knows_differences_that_do_not_vary():
    differences = np.random.default_rng(3).normal(loc=0.6, size=(200, 14))
    exact, likely = evidence(differences, 1.0), likely_evidence(differences, 1.0)
    assert np.abs(exact.above_zero - likely.above_zero).mean() < 0.02
    same = likely_evidence(np.full((1, 12), 0.5), 1.0)
    assert (same.above_zero[0], same.inside[0], same.outside[0]) == (0.0, 0.0, 1.0)


def test_holm_grants_each_claim_its_share_and_stops_at_the_first_without_a_verdict():
    parts = [[evidence(np.array([values], dtype=float), 1.0)] for values in (NOISE, UP, SMALL)]
    family = judge_family(["greater", "greater", "equivalent"], parts, 0.05)
    assert [OUTCOMES[place] for place in family.outcome[0]] == ["inconclusive", "reproduced", "reproduced"]
    assert family.level[0].tolist() == pytest.approx([0.05, 0.05 / 3, 0.05 / 2])
    assert family.p[0, 1:].tolist() == [2 / 256, 2 / 256] and family.p_holm[0, 1:].tolist() == [6 / 256, 6 / 256]


def test_a_family_too_large_for_its_pairs_has_no_verdict():
    one = [evidence(np.array([UP[:6]], dtype=float), 1.0)]
    assert judge_family(["greater"], [one], 0.05).outcome.tolist() == [[1]]
    two = judge_family(["greater"] * 2, [one, one], 0.05)
    assert two.outcome.tolist() == [[0, 0]] and two.level[0].tolist() == [0.025, 0.025]


def test_a_verdict_at_a_level_is_a_verdict_at_every_larger_one():
    rng = np.random.default_rng(9)
    parts = [evidence(rng.normal(loc=0.3, size=(500, 8)), 0.6) for _ in range(2)]
    for test in ("greater", "equivalent", "not less"):
        needed = smallest_level(test, parts)
        for level in (0.01, 0.05, 0.2):
            assert np.array_equal(decide(test, parts, np.full(500, level)) != 0, at_most(needed, level))
