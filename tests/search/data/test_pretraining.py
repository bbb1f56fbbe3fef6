"""Batches are pure functions of (data, seed, step), and have BERT's form."""

import dataclasses
import time

import numpy as np
import pytest

from search.data.pretraining import PretrainingBatch, PretrainingData, SpecialIds, pretraining_batch, pretraining_data

SPECIAL = SpecialIds(pad=0, unknown=1, start=2, separator=3, mask=4)
VOCAB_SIZE = 50_000
LENGTH = 32


def corpus(documents: int = 40, segments: int = 12, unknown_every: int = 0) -> PretrainingData:
    """Every token's id is its own place, so that a batch tells where it is from."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(2, 14, documents * segments)
    tokens = np.arange(5, 5 + lengths.sum(), dtype=np.int32)
    if unknown_every:
        tokens[::unknown_every] = SPECIAL.unknown
    return pretraining_data(tokens, lengths, np.full(documents, segments), SPECIAL, VOCAB_SIZE)


DATA = corpus()


def batch(data: PretrainingData = DATA, **settings: int) -> PretrainingBatch:
    return pretraining_batch(data, **({"seed": 0, "step": 0, "batch_size": 64, "length": LENGTH} | settings))


def unmasked(found: PretrainingBatch) -> np.ndarray:
    token_ids = found.token_ids.copy()
    token_ids.reshape(-1)[found.masked_positions] = found.masked_labels
    return token_ids


def equal(first: PretrainingBatch, second: PretrainingBatch) -> bool:
    names = [field.name for field in dataclasses.fields(PretrainingBatch)]
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    for step in (3, 7, 5):
        batch(step=step)
    assert equal(batch(step=5), batch(step=5))
    assert not equal(batch(step=5), batch(step=6))
    assert not equal(batch(step=5), batch(step=5, seed=1))


def test_shapes_and_types_are_as_promised() -> None:
    found = batch()
    assert found.token_ids.shape == found.token_types.shape == found.mask.shape == (64, LENGTH)
    assert found.token_ids.dtype == found.token_types.dtype == found.masked_positions.dtype == np.int64
    assert found.mask.dtype == np.bool_
    assert found.masked_positions.shape == found.masked_labels.shape
    assert set(found.is_random_next.tolist()) == {0, 1}


def test_sequences_are_two_runs_of_text_between_special_tokens() -> None:
    found = batch(step=1)
    for row, token_ids in enumerate(unmasked(found)):
        real = token_ids[found.mask[row]]
        ends = np.flatnonzero(real == SPECIAL.separator)
        assert real[0] == SPECIAL.start and len(ends) == 2 and ends[1] == len(real) - 1
        first, second = real[1 : ends[0]], real[ends[0] + 1 : ends[1]]
        assert len(first) and len(second)
        assert np.all(np.diff(first) == 1) and np.all(np.diff(second) == 1)
        assert np.all(token_ids[~found.mask[row]] == SPECIAL.pad)
        assert found.token_types[row].tolist() == [int(ends[0] < place < len(real)) for place in range(LENGTH)]


def test_next_segments_follow_and_random_ones_are_from_another_document() -> None:
    for step in range(5):
        found = batch(step=step)
        for row, token_ids in enumerate(unmasked(found)):
            real = token_ids[found.mask[row]]
            border = int(np.flatnonzero(real == SPECIAL.separator)[0])
            ends = np.searchsorted(DATA.document_ends, [real[border - 1] - 5, real[border + 1] - 5], side="right")
            if found.is_random_next[row]:
                assert ends[0] != ends[1]
            else:
                assert real[border + 1] == real[border - 1] + 1 and ends[0] == ends[1]


def test_half_of_the_pairs_are_random() -> None:
    share = np.mean([batch(step=step).is_random_next.mean() for step in range(100)])
    assert share == pytest.approx(0.5, abs=0.02)


def test_masking_follows_berts_shares() -> None:
    found = [batch(step=step, batch_size=128, length=64) for step in range(60)]
    originals = np.concatenate([item.masked_labels for item in found])
    shown = np.concatenate([item.token_ids.reshape(-1)[item.masked_positions] for item in found])
    ordinary = sum(int(item.mask.sum()) - 3 * len(item.mask) for item in found)
    assert len(originals) / ordinary == pytest.approx(0.15, abs=0.005)
    assert np.mean(shown == SPECIAL.mask) == pytest.approx(0.8, abs=0.01)
    assert np.mean(shown == originals) == pytest.approx(0.1, abs=0.01)
    replaced = shown[(shown != SPECIAL.mask) & (shown != originals)]
    assert replaced.min() > 4 and replaced.max() > 0.9 * VOCAB_SIZE
    assert originals.min() > 4


def test_every_sequence_has_something_to_guess_and_unknown_is_never_chosen() -> None:
    data = corpus(unknown_every=2)
    found = batch(data, batch_size=128)
    assert SPECIAL.unknown in found.token_ids
    assert SPECIAL.unknown not in found.masked_labels
    assert np.all(np.bincount(found.masked_positions // LENGTH, minlength=128) >= 1)


def test_a_sequence_of_unknown_tokens_has_nothing_to_guess() -> None:
    data = corpus(unknown_every=1)
    assert len(batch(data).masked_positions) == 0


def test_long_sentences_are_cut_at_the_border_so_that_what_is_next_stays_next() -> None:
    lengths = np.full(20, 100)
    tokens = np.arange(5, 2005, dtype=np.int32)
    data = pretraining_data(tokens, lengths, np.full(10, 2), SPECIAL, VOCAB_SIZE)
    found = batch(data)
    for row, token_ids in enumerate(unmasked(found)):
        border = int(np.flatnonzero(token_ids == SPECIAL.separator)[0])
        assert (token_ids[border - 1] - 5) % 100 == 99
        assert (token_ids[border + 1] - 5) % 100 == 0
        assert found.mask[row].all()


def test_a_corpus_of_one_document_takes_random_segments_from_it() -> None:
    found = batch(corpus(documents=1, segments=100))
    assert set(found.is_random_next.tolist()) == {0, 1}


def test_documents_of_one_sentence_are_not_used() -> None:
    data = pretraining_data(np.arange(5, 45, dtype=np.int32), np.full(8, 5), np.array([1, 6, 1]), SPECIAL, 100)
    seen = unmasked(batch(data))
    assert set(seen[seen > 4].tolist()) == set(range(10, 40))


def test_a_corpus_without_a_next_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="need a document of two sentences or more, got 8 of one"):
        pretraining_data(np.arange(5, 45, dtype=np.int32), np.full(8, 5), np.full(8, 1), SPECIAL, 100)


def test_a_batch_takes_less_than_three_milliseconds() -> None:
    batch(length=64)
    times = []
    for step in range(30):
        start = time.perf_counter()
        batch(step=step, length=64)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.003
