"""The predictor on made-up devices, where the truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from model_zoo.config import EncoderConfig
from search.latency.case import LatencyCase
from search.latency.features import features
from search.latency.predictor import agreement, cover, fit, predict
from search.latency.profile import Check
from search.values import from_json, to_json

CASE = LatencyCase(batch=1, length=32)
BASE = EncoderConfig(
    num_layers=2,
    hidden_size=64,
    bottleneck_size=16,
    num_heads=2,
    feed_forward_size=64,
    embedding_size=16,
    vocab_size=100,
    max_positions=32,
)
SPACE = {
    f"{layers}-{narrow}-{heads}-{stack}": replace(
        BASE,
        num_layers=layers,
        bottleneck_size=narrow,
        num_heads=heads,
        num_feed_forward=stack,
        feed_forward_size=4 * narrow,
    )
    for layers in (2, 4, 8)
    for narrow in (8, 16, 32, 48)
    for heads in (1, 2, 4)
    for stack in (1, 2, 4)
}


def device(config: EncoderConfig) -> float:
    """0.1 ms for each launch of a feed-forward, 0.3 for a block, 1 ms for 5 MFLOPs of feed-forward."""
    found = features(config, CASE)
    return 0.2 + 0.3 * found["blocks"] + 0.1 * found["stacked feed-forwards"] + 0.2 * found["feed-forward FLOPs"]


def test_a_linear_device_is_predicted_exactly_from_fifty_configurations() -> None:
    chosen = cover(SPACE, CASE, 50, seed=0)
    model = fit([SPACE[name] for name in chosen], [device(SPACE[name]) for name in chosen], CASE)
    rest = [config for name, config in SPACE.items() if name not in chosen]
    guesses = [predict(model, config, CASE).value for config in rest]
    found = agreement(rest, guesses, [device(config) for config in rest])
    assert found.mean_error < 1e-6 and found.rank_correlation > 0.999
    assert found.within_strata is not None and found.within_strata > 0.9 and found.strata == 9


def test_outliers_among_the_measured_hardly_move_the_predictions() -> None:
    generator = np.random.default_rng(0)
    chosen = cover(SPACE, CASE, 50, seed=0)
    latencies = np.array([device(SPACE[name]) for name in chosen]) * np.exp(generator.normal(0, 0.01, 50))
    latencies[:4] *= 3
    model = fit([SPACE[name] for name in chosen], latencies.tolist(), CASE)
    rest = [config for name, config in SPACE.items() if name not in chosen]
    guesses = [predict(model, config, CASE) for config in rest]
    assert np.mean([abs(guess.value / device(config) - 1) for guess, config in zip(guesses, rest, strict=True)]) < 0.03
    assert all(guess.low < guess.value < guess.high and guess.standard_deviation > 0 for guess in guesses)


def test_the_distribution_of_a_prediction_is_as_wide_as_the_errors_are() -> None:
    generator = np.random.default_rng(0)
    chosen = cover(SPACE, CASE, 50, seed=0)
    latencies = [device(SPACE[name]) * float(np.exp(generator.normal(0, 0.05))) for name in chosen]
    model = fit([SPACE[name] for name in chosen], latencies, CASE)
    rest = [config for name, config in SPACE.items() if name not in chosen]
    truths = [device(config) * float(np.exp(generator.normal(0, 0.05))) for config in rest]
    guesses = [predict(model, config, CASE) for config in rest]
    inside = [guess.low <= truth <= guess.high for guess, truth in zip(guesses, truths, strict=True)]
    assert np.mean(inside) > 0.9
    assert guesses[0].standard_deviation == pytest.approx(0.05 * guesses[0].value, rel=0.5)


def test_the_configurations_that_cover_a_space_are_distinct_repeatable_and_spread() -> None:
    chosen = cover(SPACE, CASE, 30, seed=3)
    assert chosen == cover(SPACE, CASE, 30, seed=3) != cover(SPACE, CASE, 30, seed=4)
    assert len(set(chosen)) == 30
    assert {SPACE[name].num_layers for name in chosen[:12]} == {2, 4, 8}
    assert len(cover({"one": BASE}, CASE, 10, seed=0)) == 1


def test_a_rank_correlation_over_all_can_hide_that_nothing_is_ranked_at_given_depth() -> None:
    configs = [SPACE[f"{layers}-{narrow}-1-1"] for layers in (2, 4, 8) for narrow in (8, 16, 32)]
    measured = [10.0 * config.num_layers + config.bottleneck_size / 100 for config in configs]
    found = agreement(configs, [float(config.num_layers) for config in configs], measured)
    assert found.rank_correlation is not None and found.rank_correlation > 0.9
    assert (found.within_strata, found.strata) == (None, 0), "equal predictions have no order to agree with"


def test_where_all_predictions_or_all_measurements_are_equal_a_rank_correlation_is_missing() -> None:
    configs = [SPACE[f"{layers}-{narrow}-1-1"] for layers in (2, 4) for narrow in (8, 16, 32)]
    rising = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    for predicted, measured in ((rising, [7.0] * 6), ([7.0] * 6, rising)):
        found = agreement(configs, predicted, measured)
        assert (found.rank_correlation, found.within_strata, found.strata) == (None, None, 0)
        assert from_json(Check, json.loads(json.dumps(to_json(found), allow_nan=False))) == found
    one = agreement(configs, rising, [1.0, 2.0, 3.0, 7.0, 7.0, 7.0])
    assert (one.within_strata, one.strata) == (pytest.approx(1.0), 1), "the stratum without an order is left out"


def test_what_cannot_be_fitted_or_predicted_is_refused() -> None:
    with pytest.raises(ValueError, match="needs at least 3 measured configurations, got 2"):
        fit([BASE, BASE], [1.0, 2.0], CASE)
    with pytest.raises(ValueError, match="a profile measures 1 to 50 configurations, got 51"):
        cover(SPACE, CASE, 51, seed=0)
    model = fit([BASE] * 3, [1.0, 1.1, 0.9], CASE, lambda config, case: {"once": 1.0})
    with pytest.raises(ValueError, match="a model must be of these features, got once; fit it again"):
        predict(model, BASE, CASE)


def test_features_need_no_torch_and_grow_with_what_they_count() -> None:
    small, large = features(BASE, CASE), features(replace(BASE, num_feed_forward=3), CASE)
    assert large["stacked feed-forwards"] == 3 * small["stacked feed-forwards"]
    assert large["feed-forward FLOPs"] == pytest.approx(3 * small["feed-forward FLOPs"])
    assert large["attention FLOPs"] == small["attention FLOPs"]
