"""What data are, as values: the identity of a corpus, a vocabulary and labelled tasks.

Part of every trial's fingerprint, so nothing here is a path or a hub name: an identity is the SHA-256 of content.
Imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["classification", "regression", "span"]
Split: TypeAlias = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSpec:
    """One labelled task."""

    name: str
    kind: Kind
    metric: str
    """The primary metric, a name of search.data.metrics."""
    label_names: tuple[str, ...]
    """The name of label i at position i; empty unless the task is a classification."""
    identity: str
    """SHA-256 of the rows of all three splits, in order, after cleaning."""

    @property
    def num_labels(self) -> int:
        """Number of classes; 0 unless the task is a classification."""
        return len(self.label_names)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSpec:
    """All the data a trial sees."""

    corpus: str
    """SHA-256 of the documents' text, sentence by sentence, in reading order."""
    vocabulary: str
    """SHA-256 of the word pieces in the order of their ids."""
    vocab_size: int
    """Word pieces there are, the special ones included (a small corpus can yield fewer than were asked for)."""
    length: int
    """Tokens per sequence, [CLS] and [SEP] included."""
    tasks: tuple[TaskSpec, ...]
