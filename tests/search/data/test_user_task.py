"""A user's own table as a task."""

import json
from pathlib import Path
from typing import Any

import pytest

from search.data.rows import RawTask, clean
from search.data.source import TaskFile
from search.data.user_task import read_task_file


def read(path: Path, **settings: Any) -> RawTask:
    defaults = {"name": "mine", "text": "text", "label": "label", "metric": "accuracy"}
    return read_task_file(TaskFile(path=str(path), **(defaults | settings)))


def table(path: Path, labels: list[Any]) -> Path:
    path.write_text(json.dumps([{"text": f"text {row}", "label": label} for row, label in enumerate(labels)]))
    return path


def test_integer_labels_of_a_csv_file_become_classes_in_numeric_order(reviews: Path) -> None:
    found = read(reviews, text="review", text2="title", label="stars")
    assert found.kind == "classification" and found.label_names == ("1", "2", "3")
    assert found.splits["train"].labels[:4] == [0, 1, 2, 2]
    assert found.splits["train"].seconds is not None
    splits = clean(found, seed=0).splits
    assert {split: len(part) for split, part in splits.items()} == {"train": 48, "validation": 5, "test": 7}


def test_text_labels_become_classes_in_alphabetical_order(tmp_path: Path) -> None:
    found = read(table(tmp_path / "a.json", ["pos", "neg ", "pos", None]), metric="f1")
    assert found.label_names == ("neg", "pos")
    assert found.splits["train"].labels == [1, 0, 1, None]


def test_ten_comes_after_nine(tmp_path: Path) -> None:
    assert read(table(tmp_path / "a.json", [10, 9, -1])).label_names == ("-1", "9", "10")


def test_integers_with_an_empty_cell_between_them_stay_integers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,1\nb,\nc,0\n")
    found = read(tmp_path / "a.csv")
    assert found.label_names == ("0", "1") and found.splits["train"].labels == [1, None, 0]


def test_a_regression_takes_numbers(tmp_path: Path) -> None:
    found = read(table(tmp_path / "a.json", [0.5, 3, 2.25]), metric="spearman")
    assert found.kind == "regression" and found.label_names == ()
    assert found.splits["train"].labels == [0.5, 3.0, 2.25]


def test_a_folder_gives_the_splits_whose_files_it_has_and_unseen_labels_come_last(tmp_path: Path) -> None:
    table(tmp_path / "train.json", ["b", "c"])
    table(tmp_path / "dev.json", ["a", "b"])
    table(tmp_path / "test.json", ["c"])
    found = read(tmp_path)
    assert set(found.splits) == {"train", "validation", "test"}
    assert found.label_names == ("b", "c", "a")


def test_class_names_declared_by_a_parquet_file_are_used(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["z", "a"])})
    rows = datasets.Dataset.from_dict({"text": ["p", "q"], "label": [0, 1]}, features=features)
    rows.to_parquet(str(tmp_path / "a.parquet"))
    found = read(tmp_path / "a.parquet")
    assert found.label_names == ("a", "z") and found.splits["train"].labels == [1, 0]


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        ([0.5, 1.0], {}, "accuracy needs text or integers as labels, got 0.5; for numbers use metric=spearman"),
        (["a", "b"], {"metric": "pearson"}, "pearson needs numbers as labels, got 'a'"),
        ([1, 1], {}, "needs two classes or more, got 1 in 'label'"),
        ([0, 1, 2], {"metric": "f1"}, "f1 needs two classes, got 3 in 'label'; use accuracy"),
        (list(range(1200)), {}, "has at most 1000 classes, got 1200"),
        ([0, 1], {"label": "stars"}, "must have a column 'stars', its columns are: text, label"),
    ],
)
def test_labels_that_do_not_fit_the_metric_are_refused(
    labels: list[Any], settings: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read(table(tmp_path / "a.json", labels), **settings)


def test_a_path_that_is_no_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="task mine: the file must exist"):
        read(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"task mine: the folder must hold train\.parquet"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"task mine: the file must be one of \.parquet, \.csv"):
        read(tmp_path / "a.txt")
