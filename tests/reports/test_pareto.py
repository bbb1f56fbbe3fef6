import math

import numpy as np
import optuna
import pytest

from reports.pareto import front, hypervolume, steps_in_doubt


def test_the_front_by_hand():
    points = [(70, 1.0), (60, 2.0), (80, 3.0), (80, 2.5), (70, 1.0), (70, 1.5)]
    assert front(points).tolist() == [True, False, False, True, True, False]


def test_a_point_that_is_not_finite_is_neither_on_the_front_nor_in_the_way():
    points = [(70, 1.0), (math.nan, 0.5), (90, math.nan), (math.inf, 0.1)]
    assert front(points).tolist() == [True, False, False, False]


def test_no_points_have_an_empty_front():
    assert front([]).tolist() == [] and hypervolume([], (0, 1)) == 0.0 and steps_in_doubt([], [], []) == []


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"rows \(accuracy, latency\), got an array of shape \(1, 3\)"):
        front([(1, 2, 3)])


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_the_one_of_optuna(seed):
    rows = np.random.default_rng(seed).integers(0, 12, size=(60, 2)).astype(float)
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([optuna.create_trial(values=[float(a), float(b)]) for a, b in rows])
    assert {trial.number for trial in study.best_trials} == set(np.flatnonzero(front(rows)).tolist())


def test_the_hypervolume_by_hand():
    # 20 x 3 for the first point, and 10 more accuracy over the last unit of latency
    assert hypervolume([(70, 1.0), (80, 3.0)], (50, 4.0)) == 20 * 3 + 10 * 1
    assert hypervolume([(70, 1.0), (60, 2.0)], (50, 4.0)) == 20 * 3
    assert hypervolume([(49, 1.0), (80, 4.0)], (50, 4.0)) == 0.0


def test_the_hypervolume_is_the_share_of_random_points_dominated():
    generator = np.random.default_rng(0)
    points = generator.random((8, 2))
    samples = generator.random((40_000, 2))
    inside = ((points[:, None, 0] >= samples[:, 0]) & (points[:, None, 1] <= samples[:, 1])).any(axis=0)
    assert hypervolume(points, (0.0, 1.0)) == pytest.approx(inside.mean(), abs=0.01)


def test_overlapping_neighbours_are_in_doubt_and_others_are_not():
    points = [(80, 3.0), (60, 1.0), (70, 2.0), (90, 4.0)]
    accuracy = [(78, 82), (55, 65), (64, 76), (89, 91)]
    assert steps_in_doubt(points, accuracy, [None] * 4) == [False, True, True, False]
    latency = [(2.9, 3.6), (0.9, 1.1), (1.9, 2.1), (3.5, 4.5)]
    assert steps_in_doubt(points, [None] * 4, latency) == [True, False, False, True]
