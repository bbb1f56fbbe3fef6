"""All pairs of items at once: against a plain loop over the turns, and how often equal items are called different."""

import itertools

import numpy as np
import pytest

from reports.comparison.joint import joint_p


def by_hand(values: np.ndarray) -> np.ndarray:
    """The same, turn by turn and pair by pair."""
    pairs = list(itertools.combinations(range(len(values)), 2))

    def statistic(difference: np.ndarray, turn: np.ndarray) -> float:
        return abs(float((turn * difference).sum())) / float(np.sqrt((difference**2).sum()))

    turns = [np.array(turn) for turn in itertools.product([1, -1], repeat=values.shape[1])]
    largest = [max(statistic(values[i] - values[j], turn) for i, j in pairs) for turn in turns]
    found = np.ones((len(values), len(values)))
    for i, j in pairs:
        seen = statistic(values[i] - values[j], np.ones(values.shape[1]))
        found[i, j] = found[j, i] = np.mean([one >= seen - 1e-9 for one in largest])
    return found


def test_it_is_the_largest_statistic_over_all_pairs_that_each_has_to_beat() -> None:
    values = np.random.default_rng(1).normal(size=(4, 7)) + np.array([[0.0], [0.5], [3.0], [-4.0]])
    np.testing.assert_allclose(joint_p(values), by_hand(values))


def test_equal_items_are_called_different_in_at_most_one_study_of_twenty() -> None:
    draw = np.random.default_rng(2)
    false = 0
    for _ in range(400):
        common, noise = draw.normal(size=(1, 8)), draw.normal(size=(5, 8))
        far = np.array([[0.0], [0.0], [0.0], [0.0], [9.0]])  # four are alike, one is not
        p = joint_p(2 * common + noise + far)
        false += bool((p[:4, :4] <= 0.05).any())
    assert false / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_many_items_that_are_far_apart_are_told_apart_by_eight_seeds() -> None:
    values = np.random.default_rng(3).normal(size=(7, 8)) + 10.0 * np.arange(7)[:, None]
    assert (joint_p(values)[np.triu_indices(7, 1)] <= 0.05).all()


@pytest.mark.parametrize("seeds", [1, 4, 5])
def test_few_seeds_tell_nothing_apart_and_equal_values_neither(seeds: int) -> None:
    assert (joint_p(np.array([[1.0] * seeds, [2.0] * seeds])) > 0.05).all()
    assert (joint_p(np.ones((3, 8))) == 1.0).all()


def test_many_seeds_are_sampled_and_keep_the_smallest_p_above_zero() -> None:
    values = np.random.default_rng(4).normal(size=(3, 20)) + np.array([[0.0], [0.0], [8.0]])
    p = joint_p(values)
    assert 0 < p[0, 2] < 0.01 and p[0, 1] > 0.05
