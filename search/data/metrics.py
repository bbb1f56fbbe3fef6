"""Scores of predictions against labels, and their bootstrap intervals.

Knows nothing of models. All scores are fractions: accuracy, f1, exact_match and span_f1 lie in [0, 1], matthews,
spearman and pearson in [-1, 1]. Where a score is not defined (constant predictions or labels for a correlation, no
positive predicted or present for f1) it is 0.0, as GLUE's scoring treats it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.data.answers import exact_match, span_f1

Values = npt.NDArray[np.float64]

METRIC_KINDS = {
    "accuracy": "classification",
    "f1": "classification",
    "matthews": "classification",
    "spearman": "regression",
    "pearson": "regression",
    "exact_match": "span",
    "span_f1": "span",
}
"""Which kind of task each metric scores."""
CHUNK = 2_000_000
"""Numbers held at once while resampling."""


class Interval(NamedTuple):
    low: float
    high: float
    level: float


def score(
    metric: str, predictions: Sequence[Any] | npt.NDArray[Any], labels: Sequence[Any] | npt.NDArray[Any]
) -> float:
    """One number for all predictions.

    Args:
        metric: a name in METRIC_KINDS. f1 is that of class 1; matthews takes any number of classes (Gorodkin's R_K).
        predictions: class ids, numbers, or answer texts.
        labels: class ids, numbers, or for each question the list of right answers (texts).

    Raises:
        ValueError: unknown metric, no rows, or unequal lengths.

    >>> score("accuracy", [1, 0, 1, 1], [1, 1, 1, 0])
    0.5
    """
    _check(metric, len(predictions), len(labels))
    kind = METRIC_KINDS[metric]
    if kind == "classification":
        return float(_from_confusion(metric, confusion(predictions, labels)[None])[0])
    if kind == "regression":
        weights = np.ones((1, len(labels)))
        return float(_correlations(metric, weights, _floats(predictions), _floats(labels))[0])
    return float(_answer_scores(metric, predictions, labels).mean())


def score_interval(
    metric: str,
    predictions: Sequence[Any] | npt.NDArray[Any],
    labels: Sequence[Any] | npt.NDArray[Any],
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Percentile bootstrap interval of `score` over rows (Efron 1979); it says nothing of the spread between seeds.

    Raises:
        ValueError: as `score`, or a level outside (0, 1), or fewer than 100 resamples.
    """
    _check(metric, len(predictions), len(labels))
    if not 0.0 < level < 1.0 or resamples < 100:
        raise ValueError(f"level must be between 0 and 1 and resamples at least 100, got {level} and {resamples}")
    generator = np.random.default_rng(seed)
    kind = METRIC_KINDS[metric]
    if kind == "classification":
        scores = _resampled_confusion(metric, confusion(predictions, labels), generator, resamples)
    elif kind == "regression":
        scores = _resampled_correlation(metric, _floats(predictions), _floats(labels), generator, resamples)
    else:
        scores = _resampled_mean(_answer_scores(metric, predictions, labels), generator, resamples)
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def confusion(
    predictions: Sequence[int] | npt.NDArray[Any], labels: Sequence[int] | npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Counts [label, prediction], wide enough for the largest class id (and for two classes)."""
    predicted, right = np.asarray(predictions, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    if min(predicted.min(), right.min()) < 0:
        raise ValueError(f"class ids must be zero or more, got {min(predicted.min(), right.min())}")
    size = int(max(predicted.max(), right.max(), 1)) + 1
    return np.bincount(right * size + predicted, minlength=size * size).reshape(size, size)


def _check(metric: str, num_predictions: int, num_labels: int) -> None:
    if metric not in METRIC_KINDS:
        raise ValueError(f"metric must be one of {', '.join(METRIC_KINDS)}, got {metric!r}")
    if num_predictions != num_labels or num_labels == 0:
        raise ValueError(f"a score needs as many predictions as labels, got {num_predictions} and {num_labels}")


def _floats(values: Sequence[Any] | npt.NDArray[Any]) -> Values:
    return np.asarray(values, dtype=np.float64)


def _divided(numerator: Values, denominator: Values) -> Values:
    """The quotient, 0.0 where the denominator is not positive."""
    defined = denominator > 0
    return np.where(defined, numerator / np.where(defined, denominator, 1.0), 0.0)


def _from_confusion(metric: str, tables: npt.NDArray[np.int64]) -> Values:
    """The score of each table [label, prediction] in a stack."""
    counts = tables.astype(np.float64)
    total, right = counts.sum(axis=(1, 2)), np.trace(counts, axis1=1, axis2=2)
    by_label, by_prediction = counts.sum(axis=2), counts.sum(axis=1)
    if metric == "accuracy":
        return _divided(right, total)
    if metric == "f1":
        return _divided(2 * counts[:, 1, 1], by_label[:, 1] + by_prediction[:, 1])
    # Gorodkin 2004; for two classes this is Matthews 1975
    covariance = right * total - (by_label * by_prediction).sum(axis=1)
    spread = (total**2 - (by_label**2).sum(axis=1)) * (total**2 - (by_prediction**2).sum(axis=1))
    return _divided(covariance, np.sqrt(spread))


def _answer_scores(metric: str, predictions: Sequence[Any] | npt.NDArray[Any], labels: Sequence[Any] | Any) -> Values:
    one = exact_match if metric == "exact_match" else span_f1
    return np.array([one(text, answers) for text, answers in zip(predictions, labels, strict=True)])


def _correlations(metric: str, weights: Values, x: Values, y: Values) -> Values:
    """Pearson (of the values, or of their ranks) under each row of weights [resample, item]."""
    if metric == "spearman":
        x_values, y_values = _ranks(weights, x), _ranks(weights, y)
    else:
        x_values, y_values = np.broadcast_to(x, weights.shape), np.broadcast_to(y, weights.shape)
    total = weights.sum(axis=1, keepdims=True)
    x_centred = x_values - (weights * x_values).sum(axis=1, keepdims=True) / total
    y_centred = y_values - (weights * y_values).sum(axis=1, keepdims=True) / total
    x_spread, y_spread = (weights * x_centred**2).sum(axis=1), (weights * y_centred**2).sum(axis=1)
    scale = (
        np.maximum((weights * x_values**2).sum(axis=1), 1e-300),
        np.maximum((weights * y_values**2).sum(axis=1), 1e-300),
    )
    varied = (x_spread > 1e-14 * scale[0]) & (y_spread > 1e-14 * scale[1])  # what is left of a constant is rounding
    product = (weights * x_centred * y_centred).sum(axis=1)
    return np.clip(_divided(product, np.where(varied, np.sqrt(x_spread * y_spread), 0.0)), -1.0, 1.0)


def _ranks(weights: Values, values: Values) -> Values:
    """Mean rank of each item when item i is present weights[:, i] times."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, group]


def _resampled_confusion(
    metric: str, table: npt.NDArray[np.int64], generator: np.random.Generator, resamples: int
) -> Values:
    """Resampling rows is drawing the table's cells from a multinomial."""
    total = int(table.sum())
    drawn = generator.multinomial(total, table.ravel() / total, size=resamples)
    return _from_confusion(metric, drawn.reshape(resamples, *table.shape))


def _resampled_mean(values: Values, generator: np.random.Generator, resamples: int) -> Values:
    distinct, counts = np.unique(values, return_counts=True)
    drawn = generator.multinomial(len(values), counts / len(values), size=resamples)
    return np.asarray(drawn @ distinct / len(values))


def _resampled_correlation(metric: str, x: Values, y: Values, generator: np.random.Generator, resamples: int) -> Values:
    step = max(1, CHUNK // len(x))
    scores = []
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, len(x), size=(rows, len(x))) + np.arange(rows)[:, None] * len(x)
        weights = np.bincount(drawn.ravel(), minlength=rows * len(x)).reshape(rows, len(x)).astype(np.float64)
        scores.append(_correlations(metric, weights, x, y))
    return np.concatenate(scores)
