"""Labelled tasks as arrays of one length: [CLS] text [SEP], or [CLS] text [SEP] second [SEP].

Knows nothing of files or models. Spans are in search.data.spans.
Source: Devlin et al. 2019, section 3 and figure 4; a pair that is too long loses tokens from its longer text's end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from search.data.pretraining import SpecialIds
from search.data.rows import Rows
from search.data.spec import Kind

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanText:
    """What turns token scores into answer texts."""

    examples: Ints
    """[window]: the question that each window belongs to, ascending."""
    characters: npt.NDArray[np.int32]
    """[window, length, 2]: begin and end of each context token in its context; 0 0 for other tokens."""
    contexts: list[str]
    """Text by question."""
    answers: list[list[str]]
    """Right answers by question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSplit:
    """One split of a task. A row is an example, or for spans a window of one."""

    token_ids: Ints
    """[row, length]"""
    token_types: Ints
    """[row, length]: 1 in the second text and its [SEP], else 0."""
    mask: npt.NDArray[np.bool_]
    """[row, length]: True is a real token, False is padding."""
    labels: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    """Class ids int64[row], numbers float32[row], or first and last token of the answer int64[row, 2] (0 0, which is
    [CLS], where the window does not hold it)."""
    spans: SpanText | None = None
    """Only for spans, and not for their train split."""

    def __len__(self) -> int:
        return len(self.token_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compact:
    """A split as it is stored; `expand` makes the arrays of TaskSplit."""

    token_ids: npt.NDArray[np.int32]
    """[row, length], padded."""
    firsts: npt.NDArray[np.int32]
    """[row]: tokens of [CLS] text [SEP]."""
    sizes: npt.NDArray[np.int32]
    """[row]: tokens in all."""
    labels: npt.NDArray[np.int64] | npt.NDArray[np.float32]


def expand(compact: Compact, spans: SpanText | None = None) -> TaskSplit:
    """The arrays that training reads."""
    place = np.arange(compact.token_ids.shape[1])[None]
    mask = place < compact.sizes[:, None]
    return TaskSplit(
        token_ids=compact.token_ids.astype(np.int64),
        token_types=((place >= compact.firsts[:, None]) & mask).astype(np.int64),
        mask=mask,
        labels=compact.labels,
        spans=spans,
    )


def encode_rows(
    rows: Rows, kind: Kind, tokenizer: "Tokenizer", special: SpecialIds, length: int
) -> tuple[Compact, int]:
    """Rows of a classification or regression.

    Returns:
        The arrays, and how many rows lost tokens to the length.
    """
    texts = encode_texts(tokenizer, rows.texts)
    seconds = None if rows.seconds is None else encode_texts(tokenizer, rows.seconds)
    cut = 0
    sequences: list[tuple[list[int], list[int]]] = []
    for row, text in enumerate(texts):
        second = seconds[row] if seconds is not None else []
        budget = length - 2 if seconds is None else length - 3
        keep, keep_second = shared_budget(len(text), len(second), budget)
        cut += (keep, keep_second) != (len(text), len(second))
        sequences.append((text[:keep], second[:keep_second]))
    labels = np.array(rows.labels, dtype=np.float32) if kind == "regression" else np.array(rows.labels, dtype=np.int64)
    return assemble(sequences, labels, special, length, paired=seconds is not None), cut


def encode_texts(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without [CLS] and [SEP].

    BERT's tokenizer never looks across white space, so each distinct string between spaces is encoded once.
    """
    parts = [text.split() for text in texts]
    distinct = list(dict.fromkeys(chain.from_iterable(parts)))
    encoded = tokenizer.encode_batch_fast(distinct, add_special_tokens=False)
    ids = {string: encoding.ids for string, encoding in zip(distinct, encoded, strict=True)}
    return [list(chain.from_iterable(map(ids.__getitem__, strings))) for strings in parts]


def shared_budget(first: int, second: int, budget: int) -> tuple[int, int]:
    """Tokens that two texts keep when the longer one is cut until both fit.

    >>> shared_budget(10, 3, 8), shared_budget(10, 9, 8), shared_budget(2, 3, 8)
    ((5, 3), (4, 4), (2, 3))
    """
    if first + second <= budget:
        return first, second
    half = budget // 2
    if second <= half:
        return budget - second, second
    if first <= budget - half:
        return first, budget - first
    return budget - half, half


def assemble(
    sequences: Sequence[tuple[list[int], list[int]]],
    labels: npt.NDArray[np.int64] | npt.NDArray[np.float32],
    special: SpecialIds,
    length: int,
    *,
    paired: bool,
) -> Compact:
    """Token lists that fit, with [CLS], [SEP] and padding."""
    token_ids = np.full((len(sequences), length), special.pad, dtype=np.int32)
    firsts = np.zeros(len(sequences), dtype=np.int32)
    sizes = np.zeros(len(sequences), dtype=np.int32)
    for row, (first, second) in enumerate(sequences):
        tokens = [special.start, *first, special.separator]
        firsts[row] = len(tokens)
        if paired:
            tokens += [*second, special.separator]
        token_ids[row, : len(tokens)] = tokens
        sizes[row] = len(tokens)
    return Compact(token_ids=token_ids, firsts=firsts, sizes=sizes, labels=labels)
