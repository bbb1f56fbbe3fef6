"""The built-in language: the same everywhere, spelled in whole pieces, right about its labels, and no bag of words."""

import functools
import os
import re
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from benchmarks.bag_of_words import bag_of_words, majority
from search.data.generated_spec import GeneratorSpec
from search.data.generator import MAX_PIECES, Generated, generate
from search.data.language import FUNCTION_WORDS, SPECIAL_PIECES, TOPICS, VERBS, num_pieces, vocabulary

TASKS = {
    "acceptability": "classification",
    "sentiment": "classification",
    "entailment": "classification",
    "similarity": "regression",
    "answering": "span",
}
CLASSES = [name for name, kind in TASKS.items() if kind == "classification"]
DIGEST = """
import hashlib, json
from dataclasses import asdict
from search.data.generator import GeneratorSpec, generate
spec = GeneratorSpec(num_documents=30, num_train=60, num_validation=20, num_test=20)
print(hashlib.sha256(json.dumps(asdict(generate(spec))).encode()).hexdigest())
"""


@functools.cache
def made(label_noise: float = 0.03) -> Generated:
    return generate(GeneratorSpec(num_documents=200, label_noise=label_noise))


def rows(task: str, label_noise: float = 0.03) -> list[dict[str, Any]]:
    return [row for split in made(label_noise).tasks[task].splits.values() for row in split]


def texts(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(value for value in row.values() if isinstance(value, str))


def test_two_processes_make_the_same_text() -> None:
    found = set()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_another_seed_makes_other_text() -> None:
    small = {"num_documents": 5, "num_train": 5, "num_validation": 2, "num_test": 2}
    one, two = (generate(GeneratorSpec(language_seed=seed, **small)) for seed in (0, 1))
    assert one.documents != two.documents
    assert all(one.tasks[name].splits["train"] != two.tasks[name].splits["train"] for name in TASKS)


def test_more_documents_change_no_task() -> None:
    few, many = (
        generate(GeneratorSpec(num_documents=count, num_train=9, num_validation=3, num_test=3)) for count in (1, 9)
    )
    assert few.tasks == many.tasks and few.documents == many.documents[:1]


def test_kinds_and_sizes_are_as_asked_for() -> None:
    spec = GeneratorSpec()
    assert {name: task.kind for name, task in made().tasks.items()} == TASKS
    for task in made().tasks.values():
        sizes = {split: len(members) for split, members in task.splits.items()}
        assert sizes == {"train": spec.num_train, "validation": spec.num_validation, "test": spec.num_test}


@pytest.mark.parametrize("task", TASKS)
def test_no_row_occurs_twice_in_any_split(task: str) -> None:
    assert max(Counter(map(texts, rows(task))).values()) == 1


@pytest.mark.parametrize("task", TASKS)
def test_the_share_of_wrong_labels_is_as_declared_in_every_split(task: str) -> None:
    label = "answers" if task == "answering" else "label"
    for split, noisy in made().tasks[task].splits.items():
        right = made(0.0).tasks[task].splits[split]
        assert [texts(row) for row in noisy] == [texts(row) for row in right]
        wrong = sum(one[label] != other[label] for one, other in zip(noisy, right, strict=True))
        assert wrong == round(0.03 * len(noisy))


def test_every_answer_is_a_word_that_stands_once_and_where_it_is_said_to() -> None:
    for row in rows("answering"):
        assert set(row) == {"question", "context", "answers"}
        (answer,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(answer)] == answer
        assert row["context"].count(answer) == 1 and re.findall(r"\w+", row["context"]).count(answer) == 1


def test_no_noun_is_part_of_another_word() -> None:
    words = [word for word in vocabulary() if word not in SPECIAL_PIECES]
    for noun in (noun for nouns in TOPICS.values() for noun in nouns):
        assert [word for word in words if noun in word] == [noun]


def test_every_word_is_one_piece_or_a_stem_and_a_suffix() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordPiece({piece: index for index, piece in enumerate(vocabulary())}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    for verb in VERBS:
        assert tokenizer.encode(f"{verb} {verb}s {verb}ed").tokens == [verb, verb, "##s", verb, "##ed"]
    for sentence in {sentence for document in made().documents for sentence in document}:
        pieces = tokenizer.encode(sentence).tokens
        assert "[UNK]" not in pieces and len(pieces) == num_pieces(sentence)
    assert len(set(vocabulary())) == len(vocabulary()) < 150


@pytest.mark.parametrize("task", TASKS)
def test_rows_fit_into_32_tokens(task: str) -> None:
    assert max(sum(num_pieces(text) for text in texts(row)) for row in rows(task)) <= MAX_PIECES


def test_a_document_stays_on_one_topic() -> None:
    topics = {noun: topic for topic, nouns in TOPICS.items() for noun in nouns}
    for document in made().documents:
        words = re.findall(r"\w+", " ".join(document))
        found = {topics.get(word) or topics.get(word.removesuffix("s")) for word in words} - {None}
        assert len(found) == 1


@pytest.mark.parametrize("task", CLASSES)
def test_a_bag_of_words_stays_within_ten_points_of_the_majority(task: str) -> None:
    splits = made().tasks[task].splits
    assert majority(splits) < 60
    assert bag_of_words(splits) <= majority(splits) + 10


def test_a_bag_of_words_finds_a_word_that_tells_the_label() -> None:
    splits = {split: [dict(row) for row in members] for split, members in made(0.0).tasks["sentiment"].splits.items()}
    for row in (row for members in splits.values() for row in members):
        row["text"] += " yes" if row["label"] else " no"
    assert bag_of_words(splits) > 99


def test_too_many_rows_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from search.data import generator

    same = replace(generator.FORMS["sentiment"], make=lambda chance: {"text": "cook is kind.", "label": 1})
    monkeypatch.setattr(generator, "FORMS", {"sentiment": same})
    with pytest.raises(ValueError, match="too few different rows for sentiment: asked for 4200, found 1"):
        generate(GeneratorSpec())


@pytest.mark.parametrize("field", ["num_documents", "num_train", "num_validation", "num_test"])
def test_a_count_below_one_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        GeneratorSpec(**{field: 0})


def test_noise_of_half_the_labels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"label_noise must be in \[0, 0.5\), got 0.5"):
        GeneratorSpec(label_noise=0.5)


def test_the_language_has_no_word_outside_its_lists() -> None:
    known = {word for word in vocabulary()} | set(FUNCTION_WORDS)
    for sentence in {sentence for document in made().documents for sentence in document}:
        for word in re.findall(r"\w+|[.?]", sentence):
            assert word in known or word.removesuffix("s") in known or word.removesuffix("ed") in known
