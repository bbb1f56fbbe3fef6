"""Labelled tasks in GLUE's and SQuAD's form, from a folder, the hub or the built-in generator.

Knows which columns and which metric each published task has; gives rows of text and knows nothing of tokens.
Sources: Wang et al. 2019 (GLUE, https://arxiv.org/abs/1804.07461, table 1), Rajpurkar et al. 2016 (SQuAD). Where GLUE
reports two metrics, the primary one here is that of MobileBERT's table 4: F1 for MRPC and QQP, Spearman for STS-B.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.data.rows import RawTask, Rows
from search.data.spec import Kind, Split
from search.data.tables import READERS, Table, column, is_hub_name, read_hub, read_table

if TYPE_CHECKING:
    from search.data.generator import GeneratedTask


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where a published task keeps what, and how it is scored."""

    text: str
    second: str | None = None
    kind: Kind = "classification"
    metric: str = "accuracy"
    label_names: tuple[str, ...] = ()
    """Class names in the order of their ids, for files that do not declare them."""


ENTAILMENT = ("entailment", "not_entailment")
LAYOUTS = {
    "cola": Layout(text="sentence", metric="matthews", label_names=("unacceptable", "acceptable")),
    "sst2": Layout(text="sentence", label_names=("negative", "positive")),
    "mrpc": Layout(text="sentence1", second="sentence2", metric="f1", label_names=("not_equivalent", "equivalent")),
    "stsb": Layout(text="sentence1", second="sentence2", kind="regression", metric="spearman"),
    "qqp": Layout(text="question1", second="question2", metric="f1", label_names=("not_duplicate", "duplicate")),
    "mnli": Layout(text="premise", second="hypothesis", label_names=("entailment", "neutral", "contradiction")),
    "qnli": Layout(text="question", second="sentence", label_names=ENTAILMENT),
    "rte": Layout(text="sentence1", second="sentence2", label_names=ENTAILMENT),
    "wnli": Layout(text="sentence1", second="sentence2", label_names=("not_entailment", "entailment")),
    "squad": Layout(text="question", second="context", kind="span", metric="span_f1"),
}
FILE_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "validation_matched", "dev", "dev_matched"),
}
"""Names of the files (or hub splits) of each split. GLUE's test splits have no labels and are not read."""


def read_task(name: str, task_data: str, cache: Path | None = None) -> RawTask:
    """A published task.

    Args:
        name: one of LAYOUTS.
        task_data: a folder with a folder of this name, or `hub:owner/name` with a configuration of this name.
        cache: where a download is kept.

    Raises:
        ValueError: one line: unknown task, no such folder or file, a column missing, or labels out of range.
    """
    if name == "squad_v2":
        raise ValueError(
            "squad_v2 has questions without an answer, which a span cannot express, got task 'squad_v2'; use squad"
        )
    if name not in LAYOUTS:
        raise ValueError(f"a task in {task_data} must be one of {', '.join(LAYOUTS)}, got {name!r}")
    layout = LAYOUTS[name]
    tables = _hub_splits(name, task_data, cache) if is_hub_name(task_data) else _local_splits(name, task_data)
    names = _label_names(layout, tables["train"])
    splits: dict[Split, Rows] = {split: _rows(name, layout, table, len(names)) for split, table in tables.items()}
    return RawTask(name=name, kind=layout.kind, metric=layout.metric, label_names=names, splits=splits)


def generated_task(name: str, task: "GeneratedTask") -> RawTask:
    """A task of the built-in generator, in the same form."""
    splits: dict[Split, Rows] = {}
    for split in ("train", "validation", "test"):
        rows = task.splits[split]
        if task.kind == "span":
            texts, seconds = [row["question"] for row in rows], [row["context"] for row in rows]
            labels = [_answers(name, row["answers"]) for row in rows]
        else:
            texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
            seconds = [row["text2"] for row in rows] if "text2" in rows[0] else []
        splits[split] = Rows(texts=texts, seconds=seconds or None, labels=labels)
    return RawTask(name=name, kind=task.kind, metric=task.metric, label_names=task.label_names, splits=splits)


def task_files(name: str, task_data: str) -> dict[Split, Path]:
    """The files of a published task in a folder.

    Raises:
        ValueError: one line: no such folder, or no train or validation file in it.
    """
    root = Path(task_data).expanduser()
    folder = root / name
    if not root.is_dir():
        raise ValueError(
            f"task data must be a folder that exists, or a hub data set written hub:owner/name, got {task_data!r}"
        )
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in root.iterdir() if path.name in LAYOUTS)) or "no task"
        raise ValueError(f"task {name} needs a folder {name!r} in the task data, got {task_data!r} with {there}")
    found = {split: path for split, stems in FILE_NAMES.items() if (path := _first(folder, stems)) is not None}
    for split, stems in FILE_NAMES.items():
        if split not in found:
            raise ValueError(
                f"task {name} needs a file {stems[0]}.parquet (or csv, tsv, json, jsonl), got none in {folder}"
            )
    return found


def _first(folder: Path, stems: tuple[str, ...]) -> Path | None:
    suffixes = [suffix for suffix in READERS if suffix != ".txt"]
    paths = (folder / f"{stem}{suffix}" for stem in stems for suffix in suffixes)
    return next((path for path in paths if path.is_file()), None)


def _local_splits(name: str, task_data: str) -> dict[Split, Table]:
    return {split: read_table(path) for split, path in task_files(name, task_data).items()}


def _hub_splits(name: str, task_data: str, cache: Path | None) -> dict[Split, Table]:
    tables = read_hub(task_data, cache, None if name == "squad" else name)
    found: dict[Split, Table] = {}
    for split, stems in FILE_NAMES.items():
        table = next((tables[stem] for stem in stems if stem in tables), None)
        if table is None:
            raise ValueError(f"task {name} needs a split {stems[0]}, got {task_data} with {', '.join(tables)}")
        found[split] = table
    return found


def _label_names(layout: Layout, table: Table) -> tuple[str, ...]:
    if layout.kind != "classification":
        return ()
    return table.label_names.get("label", layout.label_names)


def _rows(name: str, layout: Layout, table: Table, num_labels: int) -> Rows:
    texts = column(table, layout.text)
    seconds = None if layout.second is None else column(table, layout.second)
    if layout.kind == "span":
        return Rows(texts=texts, seconds=seconds, labels=[_answers(name, item) for item in column(table, "answers")])
    labels = column(table, "label")
    if layout.kind == "classification":
        labels = [None if label is None or label != label or label < 0 else int(label) for label in labels]
        wrong = next((label for label in labels if label is not None and label >= num_labels), None)
        if wrong is not None:
            raise ValueError(f"{table.place} must have labels 0 to {num_labels - 1}, got {wrong}")
    return Rows(texts=texts, seconds=seconds, labels=labels)


def _answers(name: str, item: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    answers = tuple(zip(item["text"], item["answer_start"], strict=True))
    if not answers:
        raise ValueError(f"every question of task {name} must have an answer, got one without; leave such rows out")
    return answers
