"""Cleaning, the splits that are made, and duplicates."""

from typing import Any

import pytest

from search.data.rows import RawTask, Rows, clean, identity_of
from search.data.spec import Kind, Split


def rows(texts: list[Any], labels: list[Any], seconds: list[Any] | None = None) -> Rows:
    return Rows(texts=texts, seconds=seconds, labels=labels)


def task(splits: dict[Split, Rows], kind: Kind = "classification") -> RawTask:
    metric = {"classification": "accuracy", "regression": "spearman", "span": "span_f1"}[kind]
    return RawTask(name="a", kind=kind, metric=metric, label_names=("no", "yes"), splits=splits)


def numbered(count: int, start: int = 0) -> Rows:
    return rows([f"text {row}" for row in range(start, start + count)], [int(row % 5 == 0) for row in range(count)])


def test_glues_validation_is_the_test_and_a_stratified_tenth_of_train_the_validation() -> None:
    found = clean(task({"train": numbered(200), "validation": numbered(30, 500)}), seed=0)
    assert found.splits["test"] == numbered(30, 500)
    assert len(found.splits["validation"]) == 20 and sum(found.splits["validation"].labels) == 4
    assert len(found.splits["train"]) == 180 and sum(found.splits["train"].labels) == 36
    assert not set(found.splits["train"].texts) & set(found.splits["validation"].texts)
    assert found.made == ("validation",)


def test_made_splits_depend_on_the_seed_alone() -> None:
    raw = task({"train": numbered(200), "validation": numbered(30, 500)})
    assert clean(raw, seed=0) == clean(raw, seed=0)
    assert clean(raw, seed=0).splits["validation"] != clean(raw, seed=1).splits["validation"]
    assert identity_of(clean(raw, seed=0)) != identity_of(clean(raw, seed=1))


def test_from_one_table_test_and_validation_are_made() -> None:
    found = clean(task({"train": numbered(100)}), seed=0)
    assert {split: len(part) for split, part in found.splits.items()} == {"train": 81, "validation": 9, "test": 10}
    assert found.made == ("test", "validation")


def test_given_splits_stay_as_they_are() -> None:
    splits: dict[Split, Rows] = {"train": numbered(20), "validation": numbered(5, 50), "test": numbered(7, 70)}
    found = clean(task(splits), seed=0)
    assert found.splits == splits and found.made == ()


def test_numbers_are_stratified_by_size() -> None:
    train = rows([f"text {row}" for row in range(100)], [float(row) for row in range(100)])
    found = clean(task({"train": train, "validation": numbered(5, 500)}, "regression"), seed=0)
    assert sorted(int(label // 10) for label in found.splits["validation"].labels) == list(range(10))


def test_questions_about_one_context_stay_together() -> None:
    contexts = [f"context {row // 4} ship" for row in range(120)]
    train = rows(
        [f"q {row}" for row in range(120)], [(("ship", contexts[row].index("ship")),) for row in range(120)], contexts
    )
    found = clean(task({"train": train, "validation": rows(["q"], [(("x", 0),)], ["x"])}, "span"), seed=0)
    assert len(found.splits["validation"]) == 12
    assert not set(found.splits["train"].seconds or []) & set(found.splits["validation"].seconds or [])


def test_missing_values_are_left_out_and_counted() -> None:
    train = rows(["a", None, " ", "d", *"efghijklmnop"], [0, 1, 1, None] + [0, 1] * 6)
    test = rows(["x", "y", "z"], [0.0, float("nan"), 1.0])
    found = clean(task({"train": train, "validation": test}), seed=0)
    assert found.missing == {"train": 3, "test": 1}
    assert found.splits["test"].texts == ["x", "z"]


def test_a_pair_with_one_text_missing_is_left_out() -> None:
    test = rows(["x", "y"], [0, 1], ["s", ""])
    train = rows([str(row) for row in range(20)], [0, 1] * 10, ["s"] * 20)
    assert clean(task({"train": train, "validation": test}), seed=0).missing == {"train": 0, "test": 1}


def test_an_answer_that_is_not_where_it_is_said_to_be_is_left_out_of_train_only() -> None:
    wrong = (("ship", 3),)
    train = rows(
        [f"q {row}" for row in range(20)], [(("ship", 4),)] * 19 + [wrong], [f"the ship {row}" for row in range(20)]
    )
    found = clean(task({"train": train, "validation": rows(["q"], [wrong], ["the ship"])}, "span"), seed=0)
    assert found.missing == {"train": 1, "test": 0}
    assert len(found.splits["test"]) == 1


def test_duplicates_are_counted_and_taken_out_of_train_only() -> None:
    train = rows([f"text {row}" for row in range(40)], [0, 1] * 20)
    validation, test = rows(["Text  3", "new"], [0, 1]), rows(["TEXT 5", "new", "text 7"], [1, 1, 1])
    found = clean(task({"train": train, "validation": validation, "test": test}), seed=0)
    assert found.duplicates == {"train/test": 2, "train/validation": 1, "validation/test": 1}
    assert len(found.splits["train"]) == 37
    assert found.splits["test"] == test and found.splits["validation"] == validation


def test_a_pair_is_a_duplicate_only_as_a_pair() -> None:
    train = rows(["a", "a", *"cdefghijklmn"], [0, 1] * 7, ["b", "c"] + ["z"] * 12)
    found = clean(task({"train": train, "validation": rows(["a"], [0], ["b"])}), seed=0)
    assert found.duplicates["train/test"] == 1


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"test": numbered(5)}, "task a must have a train split, got test"),
        ({"train": numbered(9)}, "needs 10 rows or more to make a test split from, got 9"),
        ({"train": numbered(20), "validation": numbered(20)}, "to make a validation split from, got 0"),
        ({"train": numbered(9), "validation": numbered(9), "test": numbered(9, 50)}, "got none in train"),
    ],
)
def test_too_little_is_refused(splits: dict[Split, Rows], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clean(task(splits), seed=0)
