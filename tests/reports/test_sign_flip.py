import itertools

import numpy as np
import pytest

from reports.contrast import LEVEL, judge
from reports.sign_flip import (
    NUM_CACHED,
    _sampled_subsets,
    _student_quantile,
    detectable_effect,
    holm,
    more_seeds_to_settle,
    sign_flip,
    smallest_p,
    subset_means,
)


def by_hand(differences):
    """The definition: the share of all sign patterns whose sum is at least as far from 0 as the observed one."""
    signs = itertools.product((-1, 1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(pattern, differences, strict=True))) for pattern in signs]
    return sum(total >= abs(sum(differences)) - 1e-9 for total in sums) / len(sums)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3, 4, 5, 6], 2 / 64),  # only all signs as they are, and all turned, reach 21
        ([-1, 2, 3, 4, 5, 6], 4 / 64),  # also with the first turned: 21
        ([1, 1, 1, 1, -1], 12 / 32),  # |sum| of five signs is at least 3 in 2 (1 + 5) of 32 cases
        ([3, 3], 0.5),
        ([2], 1.0),
        ([0, 0, 0], 1.0),
        ([1, -1], 1.0),
    ],
)
def test_p_is_what_one_counts_by_hand(differences, p):
    assert sign_flip(np.array([differences], float)).p.tolist() == [p]
    assert by_hand(differences) == p


def test_p_equals_the_definition_on_random_and_on_tied_differences():
    draw = np.random.default_rng(3)
    for differences in [draw.normal(0.4, 1, 7), draw.normal(size=8), draw.integers(-2, 4, 8) / 10]:
        assert sign_flip(differences[None]).p[0] == pytest.approx(by_hand(differences))


def test_six_pairs_give_the_range_as_interval_and_five_none():
    six = sign_flip(np.array([[1.0, 2, 3, 4, 5, 9]]))
    assert (six.low[0], six.high[0]) == (1.0, 9.0)
    five = sign_flip(np.array([[1.0, 2, 3, 4, 5]]))
    assert (five.low[0], five.high[0]) == (-np.inf, np.inf)
    assert smallest_p(5) > LEVEL >= smallest_p(6)


def test_seven_pairs_end_at_the_third_subset_mean_from_either_side():
    found = sign_flip(np.array([[1.0, 2, 4, 8, 16, 32, 64]]))  # k = floor(0.025 x 128) = 3
    assert (found.low[0], found.high[0]) == (2.0, 40.0)  # 1, (1 + 2) / 2, 2, ... and 64, (64 + 32) / 2, (64 + 16) / 2


def test_the_interval_holds_exactly_the_means_that_the_test_does_not_reject():
    differences = np.random.default_rng(4).normal(1.0, 1.0, (40, 8))
    found = sign_flip(differences)
    for theta in (-0.5, 0.0, 0.3, 1.0, 2.0):
        rejected = sign_flip(differences - theta).p <= LEVEL
        assert (rejected == ((theta < found.low) | (theta > found.high))).all()


@pytest.mark.parametrize("noise", ["normal", "laplace", "few values"])
@pytest.mark.parametrize("num_pairs", [6, 8])
def test_under_the_null_at_most_one_study_in_twenty_is_told_a_difference(num_pairs, noise):
    draw, shape = np.random.default_rng(num_pairs), (20_000, num_pairs)
    drawn = {
        "normal": draw.normal(size=shape),
        "laplace": draw.laplace(size=shape),
        "few values": draw.integers(-2, 3, shape) / 5,
    }
    assert (sign_flip(drawn[noise]).p <= LEVEL).mean() <= 0.05


@pytest.mark.parametrize("num_pairs", [6, 7, 8, 10])
def test_the_interval_covers_the_mean_in_95_of_100_studies(num_pairs):
    found = sign_flip(np.random.default_rng(num_pairs).normal(1.3, 0.7, (4000, num_pairs)))
    assert 0.94 <= ((found.low <= 1.3) & (found.high >= 1.3)).mean() <= 0.98


@pytest.mark.parametrize("num_seeds", [6, 8])
def test_a_family_of_arms_that_are_all_alike_gets_a_false_verdict_in_at_most_one_study_of_twenty(num_seeds):
    """2,000 studies of three arms that share one baseline, judged by the rule of the report."""
    runs = np.random.default_rng(7).normal(size=(2000, 4, num_seeds))
    differences = runs[:, 1:] - runs[:, :1]
    found = sign_flip(differences.reshape(-1, num_seeds))
    adjusted, means = holm(found.p.reshape(2000, 3)), differences.mean(axis=2)
    verdicts = [
        judge(p, (low, high), mean, 0.2)
        for p, low, high, mean in zip(adjusted.ravel(), found.low, found.high, means.ravel(), strict=True)
    ]
    false = np.isin(verdicts, ("better", "worse")).reshape(2000, 3).any(axis=1)
    assert false.mean() <= 0.05


@pytest.mark.parametrize("num_seeds", [6, 8])
def test_a_difference_as_large_as_the_margin_is_seldom_called_none_that_matters(num_seeds):
    found = sign_flip(np.random.default_rng(8).normal(1.0, 0.3, (4000, num_seeds)))
    assert (found.high <= 1.0).mean() <= 0.025 + 0.005


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([[0.5, 0.9], [0.02, 0.02]])).tolist() == [[1.0, 1.0], [0.04, 0.04]]


def test_the_detectable_effect_is_found_in_four_of_five_fresh_studies():
    effect = detectable_effect(0.8, 8)
    assert effect is not None and 0.9 < effect < 1.05
    fresh = sign_flip(np.random.default_rng(11).normal(effect, 0.8, (5000, 8)))
    assert (fresh.low > 0).mean() == pytest.approx(0.8, abs=0.03)
    assert detectable_effect(0.8, 20) < detectable_effect(0.8, 12) < effect
    assert detectable_effect(0.8, 5) is None and detectable_effect(0.8, 6, 0.05 / 3) is None


def test_the_forecast_knows_when_few_many_or_no_number_of_seeds_is_enough():
    assert more_seeds_to_settle(3.0, 0.1, 2, 1.0) == 4
    few, many = more_seeds_to_settle(1.0, 0.9, 6, 0.5), more_seeds_to_settle(0.0, 2.0, 6, 1.0)
    assert few is not None and many is not None and 1 <= few < many <= 64
    assert more_seeds_to_settle(0.0, 2.0, 6, None) is None and more_seeds_to_settle(0.1, 5.0, 6, 0.2) is None


def test_a_forecast_is_about_right_on_fresh_studies():
    more = more_seeds_to_settle(1.0, 1.2, 6, None)
    assert more is not None
    fresh = sign_flip(np.random.default_rng(12).normal(1.0, 1.2, (200, 6 + more)))
    assert 0.7 <= (fresh.p <= LEVEL).mean() <= 0.9


def test_students_quantiles_are_those_of_the_tables():
    table = {(0.975, 12): 2.1788, (0.975, 30): 2.0423, (0.995, 12): 3.0545, (0.995833, 60): 2.7294, (0.975, 10): 2.2281}
    for (probability, freedom), value in table.items():
        assert _student_quantile(probability, freedom) == pytest.approx(value, rel=2e-3)


def test_more_than_twenty_pairs_are_tested_by_a_sample_of_flips():
    found = sign_flip(np.random.default_rng(0).normal(0.5, 1.0, (1, 30)))
    assert found.p[0] < 0.05 and found.low[0] > 0
    alike = sign_flip(np.random.default_rng(1).normal(size=(40, 24)))
    assert (alike.p <= 0.05).sum() <= 6


@pytest.mark.parametrize("num_pairs", [9, 30])
def test_a_study_is_tested_alike_alone_and_among_others(num_pairs):
    """To the last bit: more arms must not change the numbers of one."""
    differences = np.random.default_rng(4).normal(0.2, 1, (5, num_pairs))
    together = sign_flip(differences)
    for place, row in enumerate(differences):
        alone = sign_flip(row[None])
        for field in ("p", "low", "high"):
            assert getattr(together, field)[place] == getattr(alone, field)[0]


def test_the_means_of_sampled_subsets_are_those_of_their_pairs():
    chosen, sizes = _sampled_subsets(30)
    differences = np.random.default_rng(5).normal(size=(2, 30))
    means = subset_means(differences)
    assert means.shape == (2, chosen.shape[1]) and chosen.shape[1] % NUM_CACHED != 0  # the last part is a shorter one
    for subset in (0, NUM_CACHED - 1, NUM_CACHED, chosen.shape[1] - 1):
        members = differences[:, chosen[:, subset] == 1]
        assert members.shape[1] == sizes[subset]
        assert means[:, subset] == pytest.approx(members.mean(axis=1))
