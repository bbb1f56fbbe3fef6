"""Where data come from, as values: paths, hub names and the settings of the built-in generator.

None of it is part of a trial (search.data.spec is). Imports nothing heavy, opens no file.
"""

import re
from dataclasses import dataclass, field

from search.data.generated_spec import GeneratorSpec

TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
CLASSIFICATION_METRICS = ("accuracy", "f1", "matthews")
REGRESSION_METRICS = ("spearman", "pearson")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFile:
    """A user's own task: a table and the names of its columns.

    Labels are text or integers for a classification metric and numbers for a regression metric. For f1 the positive
    class is the second label in sorted order (1 of 0 and 1, "yes" of "no" and "yes").
    """

    path: str
    """A csv, tsv, json, jsonl or parquet file, or a folder with files named train, validation (or dev) and test."""
    name: str
    text: str
    label: str
    metric: str
    text2: str | None = None
    """Column of the second text of a pair."""

    def __post_init__(self) -> None:
        if not TASK_NAME.fullmatch(self.name):
            raise ValueError(f"a task's name must be letters, digits and underscores, got {self.name!r}")
        allowed = CLASSIFICATION_METRICS + REGRESSION_METRICS
        if self.metric not in allowed:
            raise ValueError(f"task {self.name}: metric must be one of {', '.join(allowed)}, got {self.metric!r}")
        columns = [column for column in (self.text, self.text2, self.label) if column is not None]
        if len(set(columns)) < len(columns):
            raise ValueError(f"task {self.name}: text, text2 and label must be different columns, got {columns}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSources:
    """All that `search.data.prepare` reads."""

    corpus: str | None = None
    """A file, a folder, or a hub name (`owner/name`, with `:config` and `@revision` where needed); None is the
    generator."""
    vocabulary: str | None = None
    """A vocab.txt of BERT's form; None trains word pieces on the corpus."""
    vocab_size: int = 1000
    """Most word pieces to train, the five special ones included; not used with a given vocabulary."""
    length: int = 64
    """Tokens per sequence, [CLS] and [SEP] included."""
    tasks: tuple[str, ...] = ()
    """Names of tasks in `task_data`, or of the generator's tasks where `task_data` is None."""
    task_data: str | None = None
    """A folder with one folder per task in GLUE's form, or a hub name whose configurations are the tasks."""
    task_files: tuple[TaskFile, ...] = ()
    generator: GeneratorSpec = field(default_factory=GeneratorSpec)
    split_seed: int = 0
    """Seed of the validation (and test) splits that have to be made; the same for all trials."""

    def __post_init__(self) -> None:
        if self.vocab_size < 16:
            raise ValueError(f"vocab_size must be at least 16, got {self.vocab_size}")
        if self.length < 16:
            raise ValueError(f"length must be at least 16 tokens, got {self.length}")
        if self.split_seed < 0:
            raise ValueError(f"split_seed must be zero or more, got {self.split_seed}")
        names = [*self.tasks, *(task.name for task in self.task_files)]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"every task must be named once, got {', '.join(repeated)} more than once")


def parse_task_file(text: str) -> TaskFile:
    """A TaskFile from `key=value` pairs between commas.

    Args:
        text: keys name, file, text, label and metric, and text2 for pairs of texts.

    Raises:
        ValueError: one line: an unknown, repeated or missing key, or a value that TaskFile refuses.

    >>> parse_task_file("name=sentiment,file=reviews.csv,text=review,label=stars,metric=accuracy").path
    'reviews.csv'
    """
    required, known = ("name", "file", "text", "label", "metric"), ("name", "file", "text", "text2", "label", "metric")
    values: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value or key not in known:
            raise ValueError(f"a task file is described by {_form(known)}, got {part.strip()!r} in {text!r}")
        if key in values:
            raise ValueError(f"a task file names each key once, got {key} twice in {text!r}")
        values[key] = value
    missing = [key for key in required if key not in values]
    if missing:
        raise ValueError(f"a task file needs {_form(required)}, got {text!r} without {', '.join(missing)}")
    path = values.pop("file")
    return TaskFile(path=path, **values)


def _form(keys: tuple[str, ...]) -> str:
    return ",".join(f"{key}=..." for key in keys)
