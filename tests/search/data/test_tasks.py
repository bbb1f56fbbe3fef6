"""Labelled rows as arrays."""

import numpy as np
import pytest

from search.data.pretraining import SpecialIds
from search.data.rows import Rows
from search.data.tasks import encode_rows, encode_texts, expand, shared_budget
from search.data.tokenizer import build_tokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
SPECIAL = SpecialIds(pad=0, unknown=1, start=2, separator=3, mask=4)


def test_a_single_text_is_start_text_separator_padding() -> None:
    rows = Rows(texts=["a b", "C d e f g h"], seconds=None, labels=[1, 0])
    compact, cut = encode_rows(rows, "classification", build_tokenizer(PIECES), SPECIAL, 6)
    split = expand(compact)
    assert split.token_ids.tolist() == [[2, 5, 6, 3, 0, 0], [2, 7, 8, 9, 10, 3]]
    assert split.mask.tolist() == [[True] * 4 + [False] * 2, [True] * 6]
    assert not split.token_types.any()
    assert split.labels.tolist() == [1, 0] and split.labels.dtype == np.int64
    assert cut == 1 and len(split) == 2


def test_a_pair_has_token_type_one_in_its_second_text_and_loses_the_end_of_the_longer() -> None:
    rows = Rows(texts=["a b", "a"], seconds=["c d e f g h", "b"], labels=[0.5, 5.0])
    compact, cut = encode_rows(rows, "regression", build_tokenizer(PIECES), SPECIAL, 8)
    split = expand(compact)
    assert split.token_ids.tolist() == [[2, 5, 6, 3, 7, 8, 9, 3], [2, 5, 3, 6, 3, 0, 0, 0]]
    assert split.token_types.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0, 0]]
    assert split.labels.dtype == np.float32 and split.labels.tolist() == [0.5, 5.0]
    assert cut == 1
    assert split.token_ids.dtype == split.token_types.dtype == np.int64 and split.mask.dtype == np.bool_


@pytest.mark.parametrize("budget", [5, 6, 7])
def test_a_shared_budget_is_used_up_and_never_exceeded(budget: int) -> None:
    for first in range(1, 12):
        for second in range(1, 12):
            kept = shared_budget(first, second, budget)
            assert sum(kept) == min(first + second, budget)
            assert 1 <= kept[0] <= first and 1 <= kept[1] <= second
            if kept[0] < first and kept[1] < second:
                assert abs(kept[0] - kept[1]) <= 1


def test_texts_are_encoded_as_the_tokenizer_encodes_them_whole() -> None:
    tokenizer = build_tokenizer([*PIECES, "##b", "(", ")", "."])
    texts = ["A  ab (b).\tc [UNK]", "", "([UNK]) \u4e16a \u00e4", " abz "]
    assert encode_texts(tokenizer, texts) == [tokenizer.encode(text).ids for text in texts]
