"""Word pieces: the same on every run, and refused where they cannot be a vocabulary."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from search.data.tokenizer import build_tokenizer, pieces_of, read_vocabulary, train_tokenizer, vocabulary_identity

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TRAIN = """
import random, sys
from search.data.tokenizer import pieces_of, train_tokenizer, vocabulary_identity
chance = random.Random(0)
words = ["".join(chance.choice("abcdefgh") for _ in range(chance.randint(2, 7))) for _ in range(400)]
texts = [" ".join(chance.choices(words, k=8)) for _ in range(300)]
random.Random(int(sys.argv[1])).shuffle(texts)
print(vocabulary_identity(pieces_of(train_tokenizer(texts, 300))))
"""


def test_training_gives_the_same_pieces_in_two_processes_whatever_the_hash_seed_order_and_parallelism() -> None:
    printed = set()
    for number, parallel in (("1", "true"), ("2", "false")):
        environment = os.environ | {"PYTHONHASHSEED": number, "TOKENIZERS_PARALLELISM": parallel}
        done = subprocess.run(
            [sys.executable, "-c", TRAIN, number],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).resolve().parents[3],
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    assert len(printed.pop().strip()) == 64


def test_training_repeats_itself_in_one_process() -> None:
    chance = random.Random(3)
    texts = ["".join(chance.choice("abcde ") for _ in range(60)) for _ in range(200)]
    first = pieces_of(train_tokenizer(texts, 120))
    assert first == pieces_of(train_tokenizer(reversed(texts), 120))
    assert first[:5] == SPECIAL
    assert len(first) == len(set(first)) == 120


def test_frequent_words_become_pieces_and_case_does_not_count() -> None:
    tokenizer = train_tokenizer(["The ship sank. the SHIP sailed."] * 5, 100)
    assert tokenizer.encode("THE ship").tokens == ["the", "ship"]


def test_a_vocabulary_too_small_for_the_characters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"vocab_size must be at least 57 for the 26 characters .* got 20"):
        train_tokenizer(["abcdefghijklmnopqrstuvwxyz"] * 2, 20)


def test_a_character_that_is_too_rare_makes_its_word_unknown() -> None:
    tokenizer = train_tokenizer(["a plain text"] * 3 + ["\u4e16"], 60)
    assert tokenizer.encode("plain \u4e16").tokens[-1] == "[UNK]"


def test_unknown_in_a_text_stays_and_other_special_pieces_are_ordinary_text() -> None:
    tokenizer = build_tokenizer([*SPECIAL, "the", "[", "]", "mask", "end"])
    assert tokenizer.encode("the [UNK] [MASK] end").tokens == ["the", "[UNK]", "[", "mask", "]", "end"]


def test_a_vocabulary_file_is_read_in_order(tmp_path: Path) -> None:
    pieces = [*SPECIAL, "ship", "##s"]
    (tmp_path / "vocab.txt").write_text("\r\n".join(pieces) + "\r\n")
    tokenizer = read_vocabulary(tmp_path / "vocab.txt")
    assert pieces_of(tokenizer) == pieces
    assert tokenizer.encode("Ships").ids == [5, 6]
    assert vocabulary_identity(pieces) != vocabulary_identity(pieces[::-1])


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        (SPECIAL[:4], r"without \[MASK\]"),
        ([*SPECIAL, "a", "b", "a"], "every piece once, got 'a' 2 times"),
        ([*SPECIAL, "", "a"], "got line 6 empty"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(pieces: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    with pytest.raises(ValueError, match=message):
        read_vocabulary(tmp_path / "vocab.txt")


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"can be read, got '.*none\.txt': No such file"):
        read_vocabulary(tmp_path / "none.txt")
