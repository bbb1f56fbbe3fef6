"""Labelled rows before tokenization: cleaning, splits that have to be made, and what was found on the way.

Knows nothing of files, tokens or models. GLUE publishes no test labels, so where a task has a validation split and no
test split, the validation split is the test, and a fixed tenth of train becomes the validation.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from search.data.spec import SPLITS, Kind, Split

Answer: TypeAlias = tuple[str, int]
"""An answer's text and the character of the context at which it begins."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Columns of one split. None is a missing value."""

    texts: list[Any]
    """The text; for spans the question."""
    seconds: list[Any] | None
    """The second text of a pair; for spans the context."""
    labels: list[Any]
    """Class id, number, or for spans the right answers as a tuple of (text, start)."""

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True, slots=True)
class RawTask:
    """A task as it was read; the splits that the source has."""

    name: str
    kind: Kind
    metric: str
    label_names: tuple[str, ...]
    splits: dict[Split, Rows]


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanTask:
    """A task with all three splits, no missing values, and no row of train in the other splits."""

    name: str
    kind: Kind
    metric: str
    label_names: tuple[str, ...]
    splits: dict[Split, Rows]
    missing: dict[str, int] = field(default_factory=dict)
    """Rows left out of each split as it was read, for a missing or empty text or label."""
    duplicates: dict[str, int] = field(default_factory=dict)
    """Rows of the first split whose texts also occur in the second, by "first/second", before train was cleared."""
    made: tuple[Split, ...] = ()
    """Splits that were made from train."""


def clean(task: RawTask, seed: int) -> CleanTask:
    """Drop what is missing, make the splits that are not there, and take the other splits' texts out of train.

    Args:
        seed: of the splits to be made.

    Raises:
        ValueError: one line: no train split, or too few rows for three splits.
    """
    if "train" not in task.splits:
        raise ValueError(f"task {task.name} must have a train split, got {', '.join(task.splits) or 'none'}")
    complete = {split: _complete(rows, task.kind, split) for split, rows in task.splits.items()}
    splits: dict[Split, Rows] = {split: take(task.splits[split], keep) for split, keep in complete.items()}
    missing = {str(split): int((~keep).sum()) for split, keep in complete.items()}
    made: list[Split] = []
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
        missing["test"] = missing.pop("validation")
    duplicates: dict[str, int] = {}
    for split in ("test", "validation"):
        if split not in splits:
            made.append(split)
            splits["train"], splits[split] = _carve(task, splits["train"], seed, split)
        splits["train"], duplicates[f"train/{split}"] = _without(splits["train"], splits[split])
    duplicates["validation/test"] = _without(splits["validation"], splits["test"])[1]
    empty = [split for split in SPLITS if not len(splits[split])]
    if empty:
        raise ValueError(
            f"task {task.name} must have rows in every split, got none in {', '.join(empty)} after cleaning"
        )
    return CleanTask(
        name=task.name,
        kind=task.kind,
        metric=task.metric,
        label_names=task.label_names,
        splits={split: splits[split] for split in SPLITS},
        missing=missing,
        duplicates=duplicates,
        made=tuple(made),
    )


def identity_of(task: CleanTask) -> str:
    """SHA-256 of the kind, metric, label names and all rows in order."""
    digest = hashlib.sha256(json.dumps([task.kind, task.metric, task.label_names]).encode())
    for split in SPLITS:
        rows = task.splits[split]
        seconds = rows.seconds or [None] * len(rows)
        for row in zip(rows.texts, seconds, rows.labels, strict=True):
            digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        digest.update(b"\f")
    return digest.hexdigest()


def take(rows: Rows, keep: npt.NDArray[np.bool_]) -> Rows:
    """The rows where `keep` is True, in order."""
    chosen = np.flatnonzero(keep).tolist()
    return Rows(
        texts=[rows.texts[row] for row in chosen],
        seconds=None if rows.seconds is None else [rows.seconds[row] for row in chosen],
        labels=[rows.labels[row] for row in chosen],
    )


def _complete(rows: Rows, kind: Kind, split: Split) -> npt.NDArray[np.bool_]:
    seconds: Iterable[Any] = ["-"] * len(rows) if rows.seconds is None else rows.seconds
    known = (
        _is_text(text) and _is_text(second) and label is not None and label == label  # nan is not itself
        for text, second, label in zip(rows.texts, seconds, rows.labels, strict=True)
    )
    keep = np.fromiter(known, dtype=np.bool_, count=len(rows))
    if kind == "span" and split == "train" and rows.seconds is not None:
        for row in np.flatnonzero(keep).tolist():
            text, start = rows.labels[row][0]
            keep[row] = start >= 0 and rows.seconds[row].startswith(text, start)
    return keep


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _key(text: str, second: str | None) -> tuple[str, str]:
    return " ".join(text.casefold().split()), " ".join((second or "").casefold().split())


def _keys(rows: Rows) -> list[tuple[str, str]]:
    seconds = rows.seconds or [None] * len(rows)
    return [_key(text, second) for text, second in zip(rows.texts, seconds, strict=True)]


def _without(rows: Rows, others: Rows) -> tuple[Rows, int]:
    """The rows whose texts do not occur in others (case and spacing apart), and how many did."""
    seen = set(_keys(others))
    keep = np.fromiter((key not in seen for key in _keys(rows)), dtype=np.bool_, count=len(rows))
    return take(rows, keep), int((~keep).sum())


def _carve(task: RawTask, rows: Rows, seed: int, split: Split) -> tuple[Rows, Rows]:
    """A tenth of the rows, of each class, of each range of numbers, or of the contexts; and the rest."""
    if len(rows) < 10:
        raise ValueError(f"task {task.name} needs 10 rows or more to make a {split} split from, got {len(rows)}")
    generator = np.random.default_rng([seed, zlib.crc32(split.encode("ascii"))])
    chosen = np.zeros(len(rows), dtype=np.bool_)
    for members in _strata(task.kind, rows):
        count = max(round(len(members) / 10), int(len(members) > 1))
        if task.kind == "span":
            wanted = set(generator.permutation(len(members))[:count].tolist())
            contexts = {context for number, context in enumerate(members) if number in wanted}
            chosen |= np.array([context in contexts for context in rows.seconds or []])
        else:
            chosen[generator.permutation(np.array(members))[:count]] = True
    return take(rows, ~chosen), take(rows, chosen)


def _strata(kind: Kind, rows: Rows) -> list[list[Any]]:
    """Groups of which each gives its tenth: rows of a class, ten rows of like value, or all contexts."""
    if kind == "span":
        return [list(dict.fromkeys(rows.seconds or []))]
    if kind == "regression":
        order = np.argsort(np.array(rows.labels, dtype=np.float64), kind="stable").tolist()
        return [order[start : start + 10] for start in range(0, len(order), 10)]
    return [[row for row, label in enumerate(rows.labels) if label == name] for name in sorted(set(rows.labels))]
