"""Masked-language and next-sentence batches from a tokenised corpus, in numpy.

A batch is a pure function of (data, seed, step): nothing is remembered between steps, so a resumed training needs no
state of its own and all arms of a seed see the same batches. Knows nothing of torch.

Source: Devlin et al. 2019 (https://arxiv.org/abs/1810.04805), section 3.1 and appendix A.2. What differs: pairs are
drawn anew at every step (BERT wrote ten copies of the corpus once); where a pair is too long, the first segment keeps
its end and the second its beginning, so that what is next stays next; the second segment of a random pair is drawn as
that of a next pair is, from another document, so that its position in the document gives nothing away.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

ATTEMPTS = 8
"""Draws for a document other than the first segment's, before one from the same document is taken."""
SMALLEST_SHARE = 4
"""The second segment gets at least one part in so many of the tokens of a pair (or all that it has)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecialIds:
    pad: int
    unknown: int
    start: int
    separator: int
    mask: int

    def all(self) -> tuple[int, ...]:
        return (self.pad, self.unknown, self.start, self.separator, self.mask)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingData:
    """A tokenised corpus; make it with `pretraining_data`."""

    token_ids: npt.NDArray[np.int32]
    """[token]: all segments behind each other."""
    segment_offsets: Ints
    """[segment + 1]: where each segment begins in token_ids; the last is the number of tokens."""
    segment_documents: npt.NDArray[np.int32]
    """[segment]: the document of each segment."""
    document_ends: Ints
    """[document]: the token behind each document's last."""
    first_segments: Ints
    """Segments that another one of the same document follows: where a pair can begin."""
    ordinary_ids: npt.NDArray[np.int32]
    """Every id that is not special: what a token can be replaced by."""
    special: SpecialIds

    @property
    def num_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def num_documents(self) -> int:
        return len(self.document_ends)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingBatch:
    token_ids: Ints
    """[batch, length], with masking."""
    token_types: Ints
    """[batch, length]: 1 in the second segment and its [SEP], else 0."""
    mask: npt.NDArray[np.bool_]
    """[batch, length]: True is a real token, False is padding."""
    masked_positions: Ints
    """[masked]: flat indices into batch x length, ascending."""
    masked_labels: Ints
    """[masked]: the ids that stood there."""
    is_random_next: Ints
    """[batch]: 0 the second segment follows the first, 1 it is from elsewhere."""


def pretraining_data(
    token_ids: npt.NDArray[np.int32],
    segment_lengths: Ints,
    document_lengths: Ints,
    special: SpecialIds,
    vocab_size: int,
) -> PretrainingData:
    """Tokens with their segment and document borders.

    Args:
        token_ids: [token], all segments behind each other, without special tokens other than [UNK].
        segment_lengths: [segment], tokens of each, none zero.
        document_lengths: [document], segments of each, none zero.

    Raises:
        ValueError: no document has two segments, so that there is no next sentence.
    """
    documents = np.repeat(np.arange(len(document_lengths), dtype=np.int32), document_lengths)
    first = np.flatnonzero(documents[:-1] == documents[1:]).astype(np.int64)
    if not len(first):
        raise ValueError(
            f"next-sentence pairs need a document of two sentences or more, got {len(document_lengths)} of one "
            "each; join rows by a column doc_id, or separate documents by blank lines in a .txt file"
        )
    offsets = np.concatenate([[0], np.cumsum(segment_lengths)]).astype(np.int64)
    return PretrainingData(
        token_ids=token_ids,
        segment_offsets=offsets,
        segment_documents=documents,
        document_ends=offsets[np.cumsum(document_lengths)],
        first_segments=first,
        ordinary_ids=np.setdiff1d(np.arange(vocab_size, dtype=np.int32), np.array(special.all(), dtype=np.int32)),
        special=special,
    )


def pretraining_batch(
    data: PretrainingData, *, seed: int, step: int, batch_size: int, length: int, masked_share: float = 0.15
) -> PretrainingBatch:
    """The batch of one step.

    Args:
        seed: the block's seed, 0 or more.
        step: 0 or more; each gives another batch.
        length: tokens per sequence, the three special ones included.
        masked_share: share of the ordinary tokens of a sequence that are to be guessed (at least one): 80 % of them
            become [MASK], 10 % another ordinary token, 10 % stay.
    """
    pairs = stream(seed, step, "pairs")
    budget = length - 3
    begins, seconds = _draw_pairs(data, pairs, batch_size, budget)
    is_random = pairs.random(batch_size) < 0.5
    elsewhere = _draw_elsewhere(data, pairs, data.segment_documents[begins], budget)
    after = np.where(is_random, elsewhere, seconds)
    available = data.document_ends[data.segment_documents[after]] - data.segment_offsets[after]
    first_end = data.segment_offsets[seconds]
    first_size = np.minimum(
        first_end - data.segment_offsets[begins], budget - np.minimum(available, budget // SMALLEST_SHARE)
    )
    second_size = np.minimum(available, budget - first_size)
    token_ids, token_types, mask = _assemble(
        data, first_end - first_size, first_size, data.segment_offsets[after], second_size, length
    )
    positions, labels = _mask_tokens(data, token_ids, mask, stream(seed, step, "masking"), masked_share)
    return PretrainingBatch(
        token_ids=token_ids,
        token_types=token_types,
        mask=mask,
        masked_positions=positions,
        masked_labels=labels,
        is_random_next=is_random.astype(np.int64),
    )


def stream(seed: int, step: int, name: str) -> np.random.Generator:
    """The random numbers of one purpose at one step; another name never shifts them."""
    return np.random.default_rng([seed, step, zlib.crc32(name.encode("ascii"))])


def _draw_pairs(data: PretrainingData, generator: np.random.Generator, count: int, budget: int) -> tuple[Ints, Ints]:
    """First segment of each pair's first and second part: the second begins at a random border within the budget."""
    begins = data.first_segments[generator.integers(0, len(data.first_segments), count)]
    ends = np.minimum(data.segment_offsets[begins] + budget, data.document_ends[data.segment_documents[begins]])
    last = np.searchsorted(data.segment_offsets, ends, side="left") - 1
    choices = np.maximum(last - begins, 1)
    return begins, begins + 1 + (generator.random(count) * choices).astype(np.int64)


def _draw_elsewhere(
    data: PretrainingData, generator: np.random.Generator, documents: npt.NDArray[np.int32], budget: int
) -> Ints:
    """A second part's first segment from another document, for each of the documents given."""
    count = len(documents)
    _, seconds = _draw_pairs(data, generator, count * ATTEMPTS, budget)
    tries = seconds.reshape(count, ATTEMPTS)
    other = data.segment_documents[tries] != documents[:, None]
    chosen: Ints = tries[np.arange(count), np.argmax(other, axis=1)]
    return chosen


def _assemble(
    data: PretrainingData, first: Ints, first_size: Ints, second: Ints, second_size: Ints, length: int
) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """[CLS] first [SEP] second [SEP] padding, for all sequences at once."""
    place = np.arange(length)[None]
    border, end = first_size[:, None] + 1, (first_size + second_size)[:, None] + 2
    is_second = place > border
    source = np.where(is_second, second[:, None] + place - border - 1, first[:, None] + place - 1)
    token_ids = data.token_ids[np.clip(source, 0, data.num_tokens - 1)].astype(np.int64)
    token_ids[:, 0] = data.special.start
    token_ids[(place == border) | (place == end)] = data.special.separator
    mask = place <= end
    token_ids[~mask] = data.special.pad
    return token_ids, (is_second & mask).astype(np.int64), mask


def _mask_tokens(
    data: PretrainingData,
    token_ids: Ints,
    mask: npt.NDArray[np.bool_],
    generator: np.random.Generator,
    share: float,
) -> tuple[Ints, Ints]:
    """Change the tokens to be guessed in place; give their flat positions and what they were."""
    special = data.special
    allowed = mask & (token_ids != special.start) & (token_ids != special.separator) & (token_ids != special.unknown)
    chances = np.where(allowed, generator.random(token_ids.shape), 2.0)
    available = allowed.sum(axis=1)
    wanted = np.minimum(np.maximum(np.rint(available * share).astype(np.int64), 1), available)
    limits = np.take_along_axis(np.sort(chances, axis=1), np.maximum(wanted - 1, 0)[:, None], axis=1)
    positions = np.flatnonzero(allowed & (chances <= limits))
    flat = token_ids.reshape(-1)
    labels = flat[positions]
    action = generator.random(len(positions))
    others = data.ordinary_ids[generator.integers(0, len(data.ordinary_ids), len(positions))]
    flat[positions] = np.where(action < 0.8, special.mask, np.where(action < 0.9, others, labels))
    return positions, labels
