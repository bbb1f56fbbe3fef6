"""A user's own task: one table, or one per split, and the names of its columns.

Gives rows of text with class ids or numbers and knows nothing of tokens.
"""

from pathlib import Path
from typing import Any

from search.data.rows import RawTask, Rows
from search.data.source import REGRESSION_METRICS, TaskFile
from search.data.spec import Split
from search.data.tables import READERS, column, read_table

FILE_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}
MOST_CLASSES = 1000


def read_task_file(task: TaskFile) -> RawTask:
    """The user's task; one file gives a train split only, a folder the splits whose files it has.

    Raises:
        ValueError: one line: no such path, no train file, a column missing (says which there are), labels that are no
            classes or no numbers, or a number of classes that the metric cannot take.
    """
    columns = {split: _read(task, path) for split, path in user_task_files(task).items()}
    if task.metric in REGRESSION_METRICS:
        splits = {split: _with_labels(rows, _numbers(task, rows.labels)) for split, rows in columns.items()}
        return RawTask(name=task.name, kind="regression", metric=task.metric, label_names=(), splits=splits)
    names = _class_names(task, columns)
    ids = {name: index for index, name in enumerate(names)}
    splits = {}
    for split, rows in columns.items():
        keys = [_class_key(task, label) for label in rows.labels]
        splits[split] = _with_labels(rows, [None if key is None else ids[key] for key in keys])
    return RawTask(name=task.name, kind="classification", metric=task.metric, label_names=names, splits=splits)


def user_task_files(task: TaskFile) -> dict[Split, Path]:
    """The files that the task is read from.

    Raises:
        ValueError: one line: no such path, not a table, or no train file in the folder.
    """
    path = Path(task.path).expanduser()
    suffixes = [suffix for suffix in READERS if suffix != ".txt"]
    if not path.exists():
        raise ValueError(f"task {task.name}: the file must exist, got {task.path!r}")
    if path.is_file():
        if path.suffix.lower() not in suffixes:
            raise ValueError(f"task {task.name}: the file must be one of {', '.join(suffixes)}, got {task.path!r}")
        return {"train": path}
    found: dict[Split, Path] = {}
    for split, stems in FILE_NAMES.items():
        paths = [path / f"{stem}{suffix}" for stem in stems for suffix in suffixes]
        there = [candidate for candidate in paths if candidate.is_file()]
        if there:
            found[split] = there[0]
    if "train" not in found:
        raise ValueError(
            f"task {task.name}: the folder must hold train{suffixes[0]} (or another table), got {task.path!r}"
        )
    return found


def _read(task: TaskFile, path: Path) -> Rows:
    table = read_table(path)
    names = table.label_names.get(task.label)
    labels = column(table, task.label)
    if names is not None:
        labels = [None if label is None or label < 0 else names[label] for label in labels]
    seconds = None if task.text2 is None else _as_text(column(table, task.text2))
    return Rows(texts=_as_text(column(table, task.text)), seconds=seconds, labels=labels)


def _as_text(values: list[Any]) -> list[str | None]:
    """Numbers in a text column are text; empty stays missing."""
    return [None if value is None else str(value) for value in values]


def _with_labels(rows: Rows, labels: list[Any]) -> Rows:
    return Rows(texts=rows.texts, seconds=rows.seconds, labels=labels)


def _numbers(task: TaskFile, labels: list[Any]) -> list[float | None]:
    numbers: list[float | None] = []
    for label in labels:
        try:
            number = None if label is None or label == "" else float(label)
        except (TypeError, ValueError) as error:
            raise ValueError(f"task {task.name}: {task.metric} needs numbers as labels, got {label!r:.60}") from error
        if number is not None and number in (float("inf"), float("-inf")):
            raise ValueError(f"task {task.name}: {task.metric} needs finite numbers as labels, got {label!r}")
        numbers.append(number)
    return numbers


def _class_key(task: TaskFile, label: Any) -> str | None:
    """A class's name: the text, or the integer written out; None where the label is missing."""
    if label is None or label != label:
        return None
    if isinstance(label, str):
        return label.strip() or None
    if (isinstance(label, float) and not label.is_integer()) or not isinstance(label, int | float):
        raise ValueError(
            f"task {task.name}: {task.metric} needs text or integers as labels, got {label!r:.60}; "
            f"for numbers use metric={REGRESSION_METRICS[0]}"
        )
    return str(label) if isinstance(label, bool) else str(int(label))


def _class_names(task: TaskFile, columns: dict[Split, Rows]) -> tuple[str, ...]:
    """Classes of train in sorted order (as numbers where all are), then those that only other splits have."""
    names: list[str] = []
    for split in FILE_NAMES:
        if split in columns:
            keys = {_class_key(task, label) for label in columns[split].labels} - {None, *names}
            names += sorted((key for key in keys if key is not None), key=_numeric_first)
    if len(names) < 2:
        raise ValueError(
            f"task {task.name}: a classification needs two classes or more, got {len(names)} in {task.label!r}"
        )
    if len(names) > MOST_CLASSES:
        raise ValueError(
            f"task {task.name}: a classification has at most {MOST_CLASSES} classes, got {len(names)} in {task.label!r}"
        )
    if task.metric == "f1" and len(names) != 2:
        raise ValueError(f"task {task.name}: f1 needs two classes, got {len(names)} in {task.label!r}; use accuracy")
    return tuple(names)


def _numeric_first(name: str) -> tuple[int, int, str]:
    digits = name.removeprefix("-")
    return (0, int(name), "") if digits.isascii() and digits.isdigit() else (1, 0, name)
