"""What is in the data, said before any training: a value with lines for people and a form for JSON.

Counts only; knows nothing of files.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.data.metrics import score
from search.data.rows import CleanTask


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusReport:
    documents: int
    sentences: int
    tokens: int
    unknown_share: float
    """Share of tokens that are [UNK]; they are never masked."""
    lone_documents: int
    """Documents of one sentence: they have no next sentence and are not used."""

    def lines(self) -> list[str]:
        text = f"corpus: {self.documents:,} documents, {self.sentences:,} sentences, {self.tokens:,} tokens"
        notes = [f"{self.unknown_share:.1%} of them [UNK]"]
        if self.lone_documents:
            notes.append(f"{self.lone_documents:,} documents of one sentence not used")
        if self.documents - self.lone_documents == 1:
            notes.append("one document only, so random next sentences come from that same document")
        return [f"{text} ({'; '.join(notes)})"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskReport:
    name: str
    kind: str
    metric: str
    rows: dict[str, int]
    """Rows of each split that are used."""
    labels: dict[str, dict[str, int]]
    """Rows of each split by class name; empty unless a classification."""
    unseen_labels: dict[str, list[str]]
    """Classes of validation and test that train has no row of: they count as mistakes."""
    missing: dict[str, int]
    """Rows left out for a missing text or label, by split as read."""
    duplicates: dict[str, int]
    """Rows of the first split whose texts occur in the second; those of train were left out."""
    made: list[str]
    """Splits made from train."""
    truncated: dict[str, float]
    """Share of each split's rows that do not fit into the length (for spans: not into one window)."""
    majority: str | None
    """Train's most frequent class."""
    majority_accuracy: float | None
    """Its share of the test rows."""
    majority_score: float | None
    """The task's own metric when it is always predicted."""

    def lines(self) -> list[str]:
        counts = ", ".join(f"{split} {count:,}" for split, count in self.rows.items())
        lines = [f"task {self.name} ({self.kind}, {self.metric}): {counts}"]
        for split, labels in self.labels.items():
            lines.append(f"  labels in {split}: " + _counts(labels))
        if self.majority is not None:
            text = f"  majority class {self.majority}: {self.majority_accuracy:.1%} of test"
            lines.append(text if self.metric == "accuracy" else f"{text}, {self.metric} {self.majority_score:.3f}")
        if self.made:
            lines.append(f"  made from train: {', '.join(self.made)}")
        for split, names in self.unseen_labels.items():
            if names:
                lines.append(f"  labels in {split} that train does not have: {', '.join(names)}")
        lines += [
            f"  missing values in {split}: {count:,} rows left out" for split, count in self.missing.items() if count
        ]
        for pair, count in self.duplicates.items():
            if count:
                done = "left out of train" if pair.startswith("train/") else "kept"
                lines.append(f"  duplicates {pair}: {count:,} rows, {done}")
        cut = ", ".join(f"{split} {share:.1%}" for split, share in self.truncated.items())
        return [*lines, f"  longer than the length: {cut}"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    length: int
    vocab_size: int
    corpus: CorpusReport
    tasks: tuple[TaskReport, ...]

    def lines(self) -> list[str]:
        """For people, one fact a line."""
        head = f"data at length {self.length} with {self.vocab_size:,} word pieces"
        return [head, *self.corpus.lines(), *(line for task in self.tasks for line in task.lines())]


def task_report(task: CleanTask, cut: dict[str, int]) -> TaskReport:
    """Count what a task holds.

    Args:
        cut: rows of each split that do not fit into the length.
    """
    rows = {str(split): len(part) for split, part in task.splits.items()}
    labels: dict[str, dict[str, int]] = {}
    if task.kind == "classification":
        for split, part in task.splits.items():
            counts = Counter(part.labels)
            labels[split] = {name: counts[index] for index, name in enumerate(task.label_names)}
    majority = max(labels["train"], key=lambda name: labels["train"][name]) if labels else None
    accuracy = None if majority is None else labels["test"][majority] / rows["test"]
    return TaskReport(
        name=task.name,
        kind=task.kind,
        metric=task.metric,
        rows=rows,
        labels=labels,
        unseen_labels={
            split: [name for name, count in labels[split].items() if count and not labels["train"][name]]
            for split in ("validation", "test")
            if split in labels
        },
        missing=task.missing,
        duplicates=task.duplicates,
        made=[str(split) for split in task.made],
        truncated={split: cut[split] / count for split, count in rows.items()},
        majority=majority,
        majority_accuracy=accuracy,
        majority_score=None if majority is None else _constant_score(task, task.label_names.index(majority)),
    )


def _constant_score(task: CleanTask, label: int) -> float:
    labels: Any = np.array(task.splits["test"].labels)
    return score(task.metric, np.full(len(labels), label), labels)


def _counts(labels: dict[str, int]) -> str:
    shown = sorted(labels.items(), key=lambda item: -item[1])[:12] if len(labels) > 12 else list(labels.items())
    more = f" and {len(labels) - len(shown)} more" if len(labels) > len(shown) else ""
    return ", ".join(f"{name} {count:,}" for name, count in shown) + more
