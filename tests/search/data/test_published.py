"""Published tasks in GLUE's and SQuAD's form."""

import json
from pathlib import Path
from typing import Any

import pytest

from search.data.metrics import METRIC_KINDS
from search.data.published import LAYOUTS, read_task


def write(folder: Path, name: str, split: str, rows: list[dict[str, Any]]) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / f"{split}.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")


def test_every_layout_has_a_metric_of_its_kind() -> None:
    assert all(METRIC_KINDS[layout.metric] == layout.kind for layout in LAYOUTS.values())
    metrics = {name: layout.metric for name, layout in LAYOUTS.items() if layout.metric != "accuracy"}
    assert metrics == {"cola": "matthews", "mrpc": "f1", "qqp": "f1", "stsb": "spearman", "squad": "span_f1"}


def test_class_names_are_taken_from_the_file_where_it_declares_them(tmp_path: Path) -> None:
    import datasets

    (tmp_path / "sst2").mkdir()
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "ok"])}
    )
    for split in ("train", "validation"):
        table = datasets.Dataset.from_dict({"sentence": ["a", "b"], "label": [0, 1]}, features=features)
        table.to_parquet(str(tmp_path / "sst2" / f"{split}.parquet"))
    found = read_task("sst2", str(tmp_path))
    assert found.label_names == ("bad", "ok")
    assert found.splits["train"].labels == [0, 1]


def test_a_pair_and_mnlis_matched_validation_are_read(tmp_path: Path) -> None:
    rows = [{"premise": "p", "hypothesis": "h", "label": label} for label in (0, 2, -1)]
    write(tmp_path, "mnli", "train", rows)
    write(tmp_path, "mnli", "validation_matched", rows[:1])
    found = read_task("mnli", str(tmp_path))
    assert found.splits["train"].seconds == ["h"] * 3
    assert found.splits["train"].labels == [0, 2, None]  # -1 is the hub's missing label
    assert found.label_names == ("entailment", "neutral", "contradiction")


def test_spans_are_read_with_all_answers(tmp_path: Path) -> None:
    row = {"question": "q", "context": "a ship", "answers": {"text": ["ship", "a ship"], "answer_start": [2, 0]}}
    for split in ("train", "validation"):
        write(tmp_path, "squad", split, [row])
    assert read_task("squad", str(tmp_path)).splits["validation"].labels == [(("ship", 2), ("a ship", 0))]


def test_a_question_without_an_answer_is_refused(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write(
            tmp_path, "squad", split, [{"question": "q", "context": "c", "answers": {"text": [], "answer_start": []}}]
        )
    with pytest.raises(ValueError, match="every question of task squad must have an answer"):
        read_task("squad", str(tmp_path))


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, "cola", "train", [{"sentence": "a", "label": 5}])
    with pytest.raises(ValueError, match=r"task cola needs a file validation\.parquet"):
        read_task("cola", str(tmp_path))
    write(tmp_path, "cola", "validation", [{"sentence": "a", "label": 1}])
    with pytest.raises(ValueError, match="must have labels 0 to 1, got 5"):
        read_task("cola", str(tmp_path))
    with pytest.raises(ValueError, match=r"task rte needs a folder 'rte' in the task data, got .* with cola"):
        read_task("rte", str(tmp_path))
    with pytest.raises(ValueError, match="must be one of cola, sst2, mrpc"):
        read_task("imdb", str(tmp_path))
    with pytest.raises(ValueError, match="squad_v2 has questions without an answer"):
        read_task("squad_v2", str(tmp_path))
    with pytest.raises(ValueError, match="task data must be a folder that exists"):
        read_task("cola", str(tmp_path / "nowhere"))
    write(tmp_path, "sst2", "train", [{"text": "a", "label": 1}])
    write(tmp_path, "sst2", "validation", [{"text": "a", "label": 1}])
    with pytest.raises(ValueError, match="must have a column 'sentence', its columns are: text, label"):
        read_task("sst2", str(tmp_path))


def test_the_hub_is_asked_for_the_configuration_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    calls: list[Any] = []

    def load(*names: Any, **options: Any) -> Any:
        calls.append((*names, options["revision"]))
        table = datasets.Dataset.from_dict({"sentence": ["a", "b"], "label": [0, 1]})
        return datasets.DatasetDict({"train": table, "validation": table, "test": table})

    monkeypatch.setattr(datasets, "load_dataset", load)
    found = read_task("cola", "hub:nyu-mll/glue@main")
    assert calls == [("nyu-mll/glue", "cola", "main")]
    assert set(found.splits) == {"train", "validation"}
    assert found.label_names == ("unacceptable", "acceptable")
