"""Scores by hand and against scipy, and intervals against plain resampling."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from search.data.answers import normalised
from search.data.metrics import METRIC_KINDS, score, score_interval

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=300).round(1)
Y = (X + GENERATOR.normal(size=300)).round(1)
LABELS = GENERATOR.integers(0, 2, 400)
GUESSES = np.where(GENERATOR.random(400) < 0.7, LABELS, 1 - LABELS)


@pytest.mark.parametrize(
    ("metric", "predictions", "labels", "expected"),
    [
        ("accuracy", [1, 0, 2, 2], [1, 1, 2, 0], 0.5),
        ("f1", [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], 2 / 3),  # 2 right of 3 said and of 3 there
        ("f1", [0, 0, 1], [1, 1, 0], 0.0),
        ("matthews", [1, 1, 0, 0, 1], [1, 0, 0, 0, 1], (2 * 2 - 1 * 0) / (3 * 2 * 3 * 2) ** 0.5),
        ("matthews", [1, 0], [0, 1], -1.0),
        ("matthews", [0, 1, 2], [0, 1, 2], 1.0),
        ("pearson", [1.0, 2.0, 3.0], [2.0, 4.0, 6.0], 1.0),
        ("spearman", [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0], 0.8),
        ("exact_match", ["The  Ship!", "sea"], [["ship"], ["lake", "pond"]], 0.5),
        ("span_f1", ["cold grey sea", ""], [["the cold sea", "x"], ["y"]], 0.4),
    ],
)
def test_scores_by_hand(metric: str, predictions: list[Any], labels: list[Any], expected: float) -> None:
    assert score(metric, predictions, labels) == pytest.approx(expected)


def test_correlations_equal_scipys_with_ties() -> None:
    assert score("spearman", X, Y) == pytest.approx(stats.spearmanr(X, Y).statistic, abs=1e-12)
    assert score("pearson", X, Y) == pytest.approx(stats.pearsonr(X, Y).statistic, abs=1e-12)


def test_matthews_of_two_classes_is_their_pearson_correlation() -> None:
    assert score("matthews", GUESSES, LABELS) == pytest.approx(stats.pearsonr(GUESSES, LABELS).statistic)


@pytest.mark.parametrize(
    ("metric", "predictions", "labels"),
    [
        ("matthews", [1, 1, 1], [0, 1, 1]),
        ("matthews", [0, 1, 1], [1, 1, 1]),
        ("spearman", [0.1, 0.1, 0.1], [1, 2, 3]),
        ("pearson", [0.1] * 9, list(range(9))),
        ("pearson", list(range(9)), [1 / 3] * 9),
        ("f1", [0, 0], [0, 0]),
    ],
)
def test_what_is_not_defined_is_zero(metric: str, predictions: list[Any], labels: list[Any]) -> None:
    assert score(metric, predictions, labels) == 0.0


def test_squads_normalisation_drops_articles_punctuation_case_and_spacing() -> None:
    assert normalised(" An  answer: THE (\u201cbig\u201d) one. ") == "answer \u201cbig\u201d one"
    assert normalised("theatre a-b") == "theatre ab"


def test_an_empty_answer_equals_only_an_empty_one() -> None:
    assert score("span_f1", ["the", "x"], [["a"], [""]]) == 0.5


def _plain_interval(metric: str, predictions: Any, labels: Any) -> tuple[float, float]:
    generator = np.random.default_rng(9)
    draws = generator.integers(0, len(labels), size=(1500, len(labels)))
    scores = [score(metric, predictions[rows], labels[rows]) for rows in draws]
    return float(np.quantile(scores, 0.025)), float(np.quantile(scores, 0.975))


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "spearman", "pearson"])
def test_intervals_equal_plain_resampling_of_rows(metric: str) -> None:
    predictions, labels = (GUESSES, LABELS) if METRIC_KINDS[metric] == "classification" else (X, Y)
    found = score_interval(metric, predictions, labels, seed=1, resamples=4000)
    low, high = _plain_interval(metric, predictions, labels)
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)
    assert found.low < score(metric, predictions, labels) < found.high


def test_the_interval_of_a_mean_of_answers_is_near_the_normal_one() -> None:
    predictions = ["ship", "cold sea", "pond", "no"] * 100
    labels = [["ship"], ["sea"], ["lake"], ["no"]] * 100
    found = score_interval("span_f1", predictions, labels, seed=0)
    values = np.array([1, 2 / 3, 0, 1] * 100)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.008)
    assert found.high == pytest.approx(values.mean() + half, abs=0.008)


def test_an_interval_repeats_and_depends_on_its_seed() -> None:
    first = score_interval("spearman", X, Y, seed=1)
    assert first == score_interval("spearman", X, Y, seed=1)
    assert first != score_interval("spearman", X, Y, seed=2)
    narrow = score_interval("spearman", X, Y, seed=1, level=0.5)
    assert first.low < narrow.low < narrow.high < first.high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bleu", [1], [1]), "metric must be one of accuracy"),
        (("accuracy", [1], [1, 2]), "as many predictions as labels, got 1 and 2"),
        (("accuracy", [], []), "got 0 and 0"),
        (("accuracy", [-1], [1]), "class ids must be zero or more, got -1"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(*arguments)


def test_a_level_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="level must be between 0 and 1 and resamples at least 100, got 95 and 1000"):
        score_interval("accuracy", [1], [1], seed=0, level=95)
