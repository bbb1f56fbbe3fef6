"""The folder of prepared data: written once per DataSpec, whole or not at all, checked when used again.

    FOLDER/<fingerprint of the DataSpec>/   tokenizer.json, corpus.safetensors, <task>-<split>.safetensors (and .json
                                            for the texts of spans); data.json, with the SHA-256 of each, comes last
    FOLDER/.memo/<key>.json                 which DataSpec some sources gave, so that nothing is read twice
    FOLDER/.downloads/                      what came from the hub

Opening imports neither datasets nor tokenizers nor torch nor pandas.
"""

import fcntl
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.data.pretraining import PretrainingData, SpecialIds
from search.data.report import DataReport
from search.data.source import DataSources
from search.data.spec import SPLITS, DataSpec
from search.data.store import unpack_corpus, unpack_split
from search.data.tables import digest_file
from search.data.tasks import TaskSplit
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.values import from_json, to_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from search.data.load import Loaded

SCHEMA = 1
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenData:
    pretraining: PretrainingData
    tasks: dict[str, dict[str, TaskSplit]]
    """Splits train, validation and test by task."""
    folder: Path
    """The prepared folder itself."""

    def tokenizer(self) -> "Tokenizer":
        """The tokenizer, read when asked for."""
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))


def prepare(sources: DataSources, folder: Path) -> DataSpec:
    """Make sure that the prepared data of these sources lie in the folder.

    What is there and whole is used as it is. What is corrupted is moved aside, with a warning, and made again.
    A second process waits for the first.

    Args:
        folder: of all prepared data (RUNS/data).

    Raises:
        ValueError: one line: what is wrong with which source.
        OSError: the disk is full or not writable; nothing half-written is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        spec = _remembered(sources, folder)
        if spec is not None and _is_whole(folder, spec):
            return spec
        loaded = _load(sources, folder)
        if not _is_whole(folder, loaded.spec):
            _write(folder, loaded)
        return loaded.spec


def data_spec(sources: DataSources, folder: Path | None = None) -> DataSpec:
    """What the sources would be prepared to, without preparing it.

    Args:
        folder: of all prepared data; with it, sources that were read before are not read again, and this reading is
            remembered.

    Raises:
        ValueError: one line: what is wrong with which source.
    """
    spec = None if folder is None else _remembered(sources, folder)
    return spec if spec is not None else _load(sources, folder).spec


def open_data(folder: Path, spec: DataSpec) -> OpenData:
    """Prepared data, ready to train on.

    Args:
        folder: of all prepared data (RUNS/data).

    Raises:
        ValueError: one line: the data were not prepared, or a file is broken (named).
    """
    place = folder / fingerprint(spec)
    if not (place / "data.json").is_file():
        raise ValueError(f"data must be prepared before they are opened, got no {place / 'data.json'}; call prepare")
    special = SpecialIds(**read_json(place / "data.json")["special"])
    return OpenData(
        pretraining=unpack_corpus(place / "corpus.safetensors", special, spec.vocab_size),
        tasks={
            task.name: {split: unpack_split(place / f"{task.name}-{split}") for split in SPLITS} for task in spec.tasks
        },
        folder=place,
    )


def read_report(folder: Path, spec: DataSpec) -> DataReport:
    """What was found in the data when they were prepared."""
    document = read_json(folder / fingerprint(spec) / "data.json")
    return from_json(DataReport, document["report"], "data.json: report")


def _load(sources: DataSources, folder: Path | None) -> "Loaded":
    from search.data.load import load, sources_key

    loaded = load(sources, None if folder is None else folder / ".downloads")
    key = sources_key(sources) if folder is not None else None
    if folder is not None and key is not None:
        write_whole(folder / ".memo" / f"{key}.json", _json({"schema": SCHEMA, "spec": to_json(loaded.spec)}))
    return loaded


def _remembered(sources: DataSources, folder: Path) -> DataSpec | None:
    """The DataSpec that these very sources gave before. A memo that cannot be read is as good as none."""
    from search.data.load import sources_key

    key = sources_key(sources)
    path = folder / ".memo" / f"{key}.json"
    if key is None or not path.is_file():
        return None
    try:
        document = read_json(path)
        return from_json(DataSpec, document["spec"], str(path)) if document["schema"] == SCHEMA else None
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("%s is corrupted and not used (%s)", path, error)
        return None


def _is_whole(folder: Path, spec: DataSpec) -> bool:
    """Whether the prepared data are there; what is there and corrupted is moved aside."""
    place = folder / fingerprint(spec)
    if not place.exists():
        return False
    fault = _fault(place, spec)
    if fault is None:
        return True
    number = next(
        number for number in range(1, 10_000) if not place.with_name(f"{place.name}.corrupt-{number}").exists()
    )
    aside = place.with_name(f"{place.name}.corrupt-{number}")
    place.rename(aside)
    logger.warning("prepared data %s are corrupted (%s): moved to %s and made again", place, fault, aside.name)
    return False


def _fault(place: Path, spec: DataSpec) -> str | None:
    """What is wrong with a folder of prepared data, or None."""
    try:
        document = read_json(place / "data.json")
        if document["schema"] != SCHEMA:
            return f"schema {document['schema']} instead of {SCHEMA}"
        if from_json(DataSpec, document["spec"]) != spec:
            return "data.json is that of other data"
        for name, digest in document["files"].items():
            if not (place / name).is_file():
                return f"{name} is missing"
            if digest_file(place / name) != digest:
                return f"{name} has changed"
    except FileNotFoundError:
        return "data.json is missing"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return str(error)
    return None


def _write(folder: Path, loaded: "Loaded") -> None:
    from search.data.pack import pack

    place = folder / fingerprint(loaded.spec)
    for left_over in folder.glob(".preparing-*"):  # of a process that died: we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    temporary = folder / f".preparing-{secrets.token_hex(6)}"
    files: dict[str, str] = {}

    def write(name: str, content: bytes) -> None:
        write_whole(temporary / name, content)
        files[name] = digest_file(temporary / name)

    try:
        special, report = pack(loaded, write)
        document = {
            "schema": SCHEMA,
            "spec": to_json(loaded.spec),
            "special": to_json(special),
            "files": files,
            "report": to_json(report),
        }
        write_whole(temporary / "data.json", _json(document))
        os.rename(temporary, place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process."""
    with (folder / ".lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
