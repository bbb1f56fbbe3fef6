"""The transfer check between scales, on scores whose order is known."""

import numpy as np
import pytest

from benchmarks.scale_ranks import agreement, ceiling, matrix, tau


def test_tau_is_one_for_the_same_order_and_minus_one_for_the_opposite() -> None:
    assert tau(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1)
    assert tau(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)


def test_a_ranking_without_noise_reaches_its_ceiling_and_one_of_noise_alone_has_none() -> None:
    truth = np.arange(10.0)[:, None]
    draw = np.random.default_rng(0)
    exact = truth + 0.001 * draw.normal(size=(10, 8))
    found = agreement(exact, exact + 1, draw)
    assert list(found.values()) == pytest.approx([1.0] * 5)
    noise = draw.normal(size=(10, 8))
    assert abs(ceiling(noise)) < 0.5
    noisy = agreement(noise, exact, draw)
    assert noisy["low"] < noisy["tau"] < noisy["high"] and noisy["high"] - noisy["low"] > 0.2


def test_one_seed_has_no_ceiling_and_only_shared_seeds_count() -> None:
    assert np.isnan(ceiling(np.ones((3, 1))))
    table = matrix({"a": {0: 1.0, 1: 2.0}, "b": {1: 5.0, 2: 6.0}}, ["a", "b"])
    assert table.tolist() == [[2.0], [5.0]]
