"""Tables through the `datasets` library: a local file, or a data set of the hub.

Gives plain columns and knows nothing of corpora or tasks. `datasets` is imported when a table is read (it takes about a
second) and keeps its cache in a folder that goes away, or in one that the caller names.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUB_PREFIX = "hub:"
HUB_NAME = re.compile(r"hub:(?P<name>[\w.-]+(?:/[\w.-]+)?)(?::(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?")
READERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".txt": "text"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Columns of equal length, by name, in row order."""

    place: str
    """What an error calls it: the path or the hub name."""
    columns: dict[str, list[Any]]
    label_names: dict[str, tuple[str, ...]]
    """Class names of the columns that declare them."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))


def is_hub_name(source: str) -> bool:
    """Whether a source names a data set of the hub (and not a path).

    >>> is_hub_name("hub:nyu-mll/glue:sst2@main"), is_hub_name("data/corpus")
    (True, False)
    """
    return source.startswith(HUB_PREFIX)


def read_table(path: Path) -> Table:
    """One local table.

    A text file becomes one row, the whole file, in the column `text`. In csv only an empty cell is missing: "NA" and
    "None" are words.

    Raises:
        ValueError: one line naming the file, when it cannot be read.
    """
    builder = READERS[path.suffix.lower()]
    options: dict[str, Any] = {}
    if builder == "csv":
        options = {"keep_default_na": False, "na_values": [""], "sep": "\t" if path.suffix.lower() == ".tsv" else ","}
    elif builder == "text":
        options = {"sample_by": "document"}
    if path.stat().st_size == 0:
        return Table(place=str(path), columns={}, label_names={})
    with tempfile.TemporaryDirectory(prefix="thinbert-tables-") as cache, _quiet_datasets() as datasets:
        try:
            dataset = datasets.load_dataset(
                builder, data_files=[str(path.resolve())], split="train", cache_dir=cache, **options
            )
        except ValueError as error:
            if "corresponds to no data" in str(error):
                return Table(place=str(path), columns={}, label_names={})
            raise _unreadable(path, error) from error
        except (datasets.exceptions.DatasetsError, UnicodeDecodeError) as error:
            raise _unreadable(path, error) from error
        return _table(str(path), dataset)


def read_hub(source: str, cache: Path | None, config: str | None = None) -> dict[str, Table]:
    """All splits of a data set of the hub.

    Args:
        source: `hub:owner/name`, with `:config` and `@revision` where needed.
        cache: folder for what is downloaded; None is a temporary one.
        config: which configuration, where the source names none.

    Raises:
        ValueError: one line: no such form, or what the hub answered.
    """
    match = HUB_NAME.fullmatch(source)
    if match is None:
        raise ValueError(f"a hub data set is written hub:owner/name[:config][@revision], got {source!r}")
    with tempfile.TemporaryDirectory(prefix="thinbert-hub-") as temporary, _quiet_datasets() as datasets:
        try:
            splits = datasets.load_dataset(
                match["name"],
                match["config"] or config,
                revision=match["revision"],
                cache_dir=temporary if cache is None else str(cache),
            )
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"{source} must be a data set that the hub can give, got: {reason}") from error
        return {name: _table(f"{source} ({name})", split) for name, split in splits.items()}


def find_tables(folder: Path) -> list[Path]:
    """Readable files under a folder, at any depth, hidden ones left out; in an order that depends on names."""
    files = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in READERS and path.is_file())
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def column(table: Table, name: str) -> list[Any]:
    """One column of a table.

    Raises:
        ValueError: there is none of this name; says which there are.
    """
    if name not in table.columns:
        there = ", ".join(table.columns) or "none (it is empty)"
        raise ValueError(f"{table.place} must have a column {name!r}, its columns are: {there}")
    return table.columns[name]


def _table(place: str, dataset: Any) -> Table:
    names = {
        name: tuple(feature.names) for name, feature in dataset.features.items() if getattr(feature, "names", None)
    }
    columns = {name: dataset.data.column(name).to_pylist() for name in dataset.column_names}
    return Table(place=place, columns=columns, label_names=names)


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error.__cause__ or error).split())[:300]
    return ValueError(f"{path} must be a readable {READERS[path.suffix.lower()]} file, got: {reason}")


@contextmanager
def _quiet_datasets() -> Iterator[Any]:
    """The library without progress bars and log lines, and as it was afterwards."""
    import datasets

    verbosity, bars = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        yield datasets
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()
