"""Windows over contexts, and answers read off token scores."""

import numpy as np
import pytest

from search.data.pretraining import SpecialIds
from search.data.rows import Rows
from search.data.spans import decode_spans, encode_spans
from search.data.tasks import TaskSplit, expand
from search.data.tokenizer import build_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "?", *LETTERS]
SPECIAL = SpecialIds(pad=0, unknown=1, start=2, separator=3, mask=4)
CONTEXT = " ".join(LETTERS).upper()  # letter i is token i and character 2 i


def rows(*letters: str, question: str = "who ?") -> Rows:
    answers = [((" ".join(part).upper(), 2 * LETTERS.index(part[0])),) for part in letters]
    return Rows(texts=[question] * len(letters), seconds=[CONTEXT] * len(letters), labels=answers)


def encode(found: Rows, length: int = 16, training: bool = False) -> tuple[TaskSplit, int]:
    compact, spans, cut = encode_spans(found, build_tokenizer(PIECES), SPECIAL, length, training=training)
    return expand(compact, spans), cut


def test_a_context_that_fits_is_one_window_with_the_answers_tokens() -> None:
    split, cut = encode(rows("cde"), length=40)
    assert split.labels.tolist() == [[4 + 2, 4 + 4]]  # [CLS] who ? [SEP] a b c d e
    assert [PIECES[token] for token in split.token_ids[0, 6:9]] == ["c", "d", "e"]
    assert split.token_types[0].tolist() == [0] * 4 + [1] * 27 + [0] * 9
    assert cut == 0


def test_windows_overlap_by_half_and_cover_the_context() -> None:
    split, cut = encode(rows("cde"))
    texts = ["".join(PIECES[token] for token in row[4:] if token > 6) for row in split.token_ids]
    assert texts == ["abcdefghijk", "fghijklmnop", "klmnopqrstu", "pqrstuvwxyz"]
    assert split.labels.tolist() == [[6, 8], [0, 0], [0, 0], [0, 0]]
    assert cut == 1


def test_training_keeps_the_windows_with_the_answer_and_one_without() -> None:
    split, _ = encode(rows("h", "h"), training=True)
    assert split.labels.tolist() == [[11, 11], [6, 6], [0, 0], [11, 11], [6, 6], [0, 0]]
    assert split.spans is None
    assert split.token_ids[2].tolist() != split.token_ids[5].tolist()


def test_an_answer_wider_than_any_window_has_none() -> None:
    split, _ = encode(rows("abcdefghijklmnop"))
    assert not split.labels.any()


def test_a_long_question_is_cut() -> None:
    split, cut = encode(rows("a", question="who ? " * 10), length=40)
    assert split.token_types[0].argmax() == 13 + 2 and cut == 1


def test_the_answer_is_the_best_span_over_all_windows_in_the_contexts_own_letters() -> None:
    split, _ = encode(rows("cde", "uvw"))
    starts, ends = np.zeros(split.token_ids.shape), np.zeros(split.token_ids.shape)
    for window, (first, last) in enumerate(split.labels):
        starts[window, first], ends[window, last] = 1, 1
    starts[:, 0], ends[:, 0] = 9, 9  # [CLS] is no answer
    assert decode_spans(split, starts, ends) == ["C D E", "U V W"]


def test_an_answer_does_not_end_before_it_begins_and_is_not_too_long() -> None:
    split, _ = encode(rows("a"), length=40)
    starts, ends = np.zeros(split.token_ids.shape), np.zeros(split.token_ids.shape)
    starts[0, 4 + 10], ends[0, 4 + 2] = 2, 1
    assert decode_spans(split, starts, ends) == ["K"]
    ends[0, 4 + 20] = 5
    assert decode_spans(split, starts, ends, most_tokens=11) == ["K L M N O P Q R S T U"]
    assert decode_spans(split, starts, ends, most_tokens=10) != ["K L M N O P Q R S T U"]


def test_a_train_split_has_no_answers_to_read_off() -> None:
    split, _ = encode(rows("a"), training=True)
    with pytest.raises(ValueError, match="got a split without texts"):
        decode_spans(split, np.zeros((1, 16)), np.zeros((1, 16)))
