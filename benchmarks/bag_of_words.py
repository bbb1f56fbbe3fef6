"""The floor that a classification task is measured against: the majority class, and a logistic regression on how often
each word occurs in each text. Knows nothing of word order, encoders or where rows come from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Rows = Sequence[Mapping[str, Any]]

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Weights of the squared norm, of which the best on validation is taken."""


def majority(splits: Mapping[str, Rows]) -> float:
    """Accuracy on test, in per cent, of answering always the class that train has most."""
    most = Counter(row["label"] for row in splits["train"]).most_common(1)[0][0]
    return 100.0 * float(np.mean([row["label"] == most for row in splits["test"]]))


def bag_of_words(splits: Mapping[str, Rows]) -> float:
    """Accuracy on test, in per cent, of the logistic regression; the first and the second text have bags of their own.

    Args:
        splits: train, validation and test rows with `text`, perhaps `text2`, and `label` from 0 up.
    """
    words = {
        word: index for index, word in enumerate(sorted({word for row in splits["train"] for word in _words(row)}))
    }
    bags = {split: _counts(rows, words) for split, rows in splits.items()}
    labels = {split: np.array([row["label"] for row in rows], dtype=np.int64) for split, rows in splits.items()}
    best = max(
        (_fit(bags["train"], labels["train"], penalty) for penalty in PENALTIES),
        key=lambda weights: _accuracy(weights, bags["validation"], labels["validation"]),
    )
    return 100.0 * _accuracy(best, bags["test"], labels["test"])


def _words(row: Mapping[str, Any]) -> list[str]:
    """Every word, marked with the text that it stands in; punctuation is a word."""
    texts = {mark: row[mark] for mark in ("text", "text2") if mark in row}
    spaced = {mark: text.replace(".", " .").replace("?", " ?") for mark, text in texts.items()}
    return [f"{mark}:{word}" for mark, text in spaced.items() for word in text.split()]


def _counts(rows: Rows, words: Mapping[str, int]) -> Numbers:
    """[row, word + 1]: counts, then a constant one; words that train lacks are left out."""
    counts = np.zeros((len(rows), len(words) + 1))
    counts[:, -1] = 1.0
    for index, row in enumerate(rows):
        for word in _words(row):
            if word in words:
                counts[index, words[word]] += 1.0
    return counts


def _fit(bags: Numbers, labels: Labels, penalty: float) -> Numbers:
    """Weights [word + 1, class] of the smallest penalised cross-entropy (L-BFGS)."""
    shape = bags.shape[1], int(labels.max()) + 1
    target = np.eye(shape[1])[labels]

    def loss(flat: Numbers) -> tuple[float, Numbers]:
        weights = flat.reshape(shape)
        logits = bags @ weights
        log_shares = logits - logsumexp(logits, axis=1, keepdims=True)
        gradient = bags.T @ (np.exp(log_shares) - target) / len(bags) + 2 * penalty * weights
        return float(-(target * log_shares).sum() / len(bags) + penalty * (weights**2).sum()), gradient.ravel()

    found = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x).reshape(shape)


def _accuracy(weights: Numbers, bags: Numbers, labels: Labels) -> float:
    return float(((bags @ weights).argmax(axis=1) == labels).mean())
