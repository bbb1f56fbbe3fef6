"""The self-test of the verdicts, in small: no false verdicts beyond 5 %, power as planned.

Everything is drawn from fixed seeds, so that a bound that holds once holds always; 3 standard errors are allowed.
"""

from collections.abc import Iterable

import pytest

from benchmarks.calibration import NOISES, null_truths, planned_truths, power_truths, row, unbounded_truths
from reports.calibration import SHAPES, Truth, contrast, draw, rates
from search.claim import LEVEL, beats


def named(truths: Iterable[Truth]) -> list[object]:
    return [pytest.param(truth, id=f"{truth.name}, {truth.noise}") for truth in truths]


def num_studies(truth: Truth) -> int:
    return 4000 if len(truth.looks) == 1 else 800


@pytest.mark.parametrize("truth", named(null_truths()))
def test_at_most_one_study_in_twenty_has_a_false_verdict_on_any_of_its_claims(truth: Truth) -> None:
    found = rates(truth, num_studies(truth), seed=1)
    assert truth.bounded and found.false <= LEVEL + 3 * found.error
    assert found.false > 0 or "looks" in truth.name


@pytest.mark.parametrize(("truth", "planned"), [pytest.param(*pair, id=pair[0].name) for pair in planned_truths()])
def test_what_planning_promises_is_found_in_four_of_five_studies(truth: Truth, planned: float) -> None:
    found = rates(truth, 4000, seed=2)
    assert found.outcomes[0]["reproduced"] == pytest.approx(planned, abs=0.03)
    assert found.false <= 0.001


def test_power_grows_with_the_effect_and_with_looks_under_every_noise() -> None:
    found: dict[str, list[float]] = {}
    for truth in power_truths():
        outcome = rates(truth, 400, seed=3).outcomes[0]
        found.setdefault(f"{truth.noise}{' with looks' * (len(truth.looks) > 1)}", []).append(outcome["reproduced"])
    assert len(found) == 2 * len(NOISES) and all(shares == sorted(shares) for shares in found.values())
    for noise in NOISES:
        assert found[noise][1] < found[f"{noise} with looks"][1] > 0.6


def test_skewed_unequal_arms_are_reported_and_exceed_the_bound() -> None:
    unequal, *_ = unbounded_truths()
    found = rates(unequal, 4000, seed=4)
    assert not unequal.bounded and found.false > LEVEL + 3 * found.error
    assert "| skewed, unequal | 8 |" in row(unequal, found) and "reported" in row(unequal, found)


@pytest.mark.parametrize("noise", SHAPES)
def test_a_paired_difference_has_the_effect_and_the_deviation_that_it_says(noise: str) -> None:
    truth = Truth(name="", claims=(), means={"bare": 0.0, "a": 0.7}, noise=noise)  # type: ignore[arg-type]
    differences = contrast(draw(truth, 40_000, 5), beats("a", "bare"))
    kept = differences[differences == differences]
    assert kept.mean() == pytest.approx(0.7, abs=0.02)
    assert kept.std() == pytest.approx(1.0, abs=0.03) or noise == "skewed, unequal"
    lost = 1 - kept.size / differences.size
    assert lost == (pytest.approx(0.19, abs=0.01) if noise == "diverging" else 0)
