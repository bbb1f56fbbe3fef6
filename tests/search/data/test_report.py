"""What is said of the data before training."""

from search.data.report import CorpusReport, DataReport, task_report
from search.data.rows import RawTask, Rows, clean
from search.data.spec import Split
from search.values import from_json, to_json


def rows(prefix: str, labels: list[int | None]) -> Rows:
    return Rows(texts=[f"{prefix} {row}" for row in range(len(labels))], seconds=None, labels=labels)


def report() -> DataReport:
    splits: dict[Split, Rows] = {
        "train": rows("a", [1, 1, 1, 0, None]),
        "validation": rows("b", [1, 0]),
        "test": rows("c", [2, 1, 1, 0]),
    }
    splits["test"].texts[3] = "A 3"
    task = clean(
        RawTask(name="t", kind="classification", metric="matthews", label_names=("no", "yes", "odd"), splits=splits), 0
    )
    corpus = CorpusReport(documents=3, sentences=9, tokens=80, unknown_share=0.05, lone_documents=2)
    return DataReport(
        length=16, vocab_size=100, corpus=corpus, tasks=(task_report(task, {"train": 0, "validation": 1, "test": 1}),)
    )


def test_rows_labels_unseen_labels_missing_values_duplicates_truncation_and_majority_are_counted() -> None:
    task = report().tasks[0]
    assert task.rows == {"train": 3, "validation": 2, "test": 4}
    assert task.labels["train"] == {"no": 0, "yes": 3, "odd": 0}
    assert task.unseen_labels == {"validation": ["no"], "test": ["no", "odd"]}
    assert task.missing == {"train": 1, "validation": 0, "test": 0}
    assert task.duplicates == {"train/test": 1, "train/validation": 0, "validation/test": 0}
    assert task.truncated == {"train": 0.0, "validation": 0.5, "test": 0.25}
    assert (task.majority, task.majority_accuracy, task.majority_score) == ("yes", 0.5, 0.0)


def test_lines_say_it_for_people() -> None:
    text = "\n".join(report().lines())
    for fact in (
        "data at length 16 with 100 word pieces",
        "3 documents, 9 sentences, 80 tokens (5.0% of them [UNK]; 2 documents of one sentence not used; one",
        "task t (classification, matthews): train 3, validation 2, test 4",
        "majority class yes: 50.0% of test, matthews 0.000",
        "labels in test that train does not have: no, odd",
        "missing values in train: 1 rows left out",
        "duplicates train/test: 1 rows, left out of train",
        "longer than the length: train 0.0%, validation 50.0%, test 25.0%",
    ):
        assert fact in text


def test_a_report_survives_json() -> None:
    import json

    assert from_json(DataReport, json.loads(json.dumps(to_json(report())))) == report()
