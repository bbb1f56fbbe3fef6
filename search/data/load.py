"""From sources to text: the corpus, the word pieces and the cleaned tasks, and the DataSpec that names them.

Knows nothing of the folder in which prepared data lie. The libraries are imported when there is something to read.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.data.corpus import corpus_files, identity_of, load_corpus
from search.data.published import LAYOUTS, generated_task, read_task, task_files
from search.data.rows import CleanTask, RawTask, clean
from search.data.rows import identity_of as task_identity
from search.data.source import DataSources
from search.data.spec import DataSpec, TaskSpec
from search.data.tables import HUB_NAME, digest_file, is_hub_name
from search.data.tokenizer import (
    build_tokenizer,
    check_pieces,
    pieces_of,
    read_vocabulary,
    train_tokenizer,
    vocabulary_identity,
)
from search.data.user_task import read_task_file, user_task_files
from search.values import to_json

if TYPE_CHECKING:
    from search.data.generator import Generated

COMMIT_DIGITS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """Everything as text, and its name."""

    documents: Sequence[Sequence[str]]
    pieces: list[str]
    """Word pieces in the order of their ids."""
    tasks: list[CleanTask]
    spec: DataSpec


def load(sources: DataSources, cache: Path | None = None) -> Loaded:
    """Read all sources.

    Args:
        cache: where downloads are kept.

    Raises:
        ValueError: one line: what is wrong with which source.
    """
    generated = _generated(sources)
    raw = [_named_task(name, sources, generated, cache) for name in sources.tasks]
    raw += [read_task_file(task) for task in sources.task_files]
    tasks = [clean(task, sources.split_seed) for task in raw]
    if sources.corpus is not None:
        corpus = load_corpus(sources.corpus, cache)
        documents, identity = corpus.documents, corpus.identity
    else:
        assert generated is not None
        documents, identity = generated.documents, identity_of(generated.documents)
    pieces = _pieces(sources, documents, generated)
    spec = DataSpec(
        corpus=identity,
        vocabulary=vocabulary_identity(pieces),
        vocab_size=len(pieces),
        length=sources.length,
        tasks=tuple(_task_spec(task) for task in tasks),
    )
    return Loaded(documents=documents, pieces=pieces, tasks=tasks, spec=spec)


def sources_key(sources: DataSources) -> str | None:
    """A name for what the sources would give, from the bytes of their files and of the code that reads them.

    Cheap: nothing is parsed. None where a hub data set is not pinned to a commit, so that it can change unseen.

    Raises:
        ValueError: one line: a path that does not exist, or holds nothing to read.
    """
    named = [source for source in (sources.corpus, sources.task_data) if source is not None]
    if any(is_hub_name(source) and not _is_pinned(source) for source in named):
        return None
    content: dict[str, Any] = to_json(sources)
    content["code"] = [digest_file(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    content["libraries"] = [version(name) for name in ("datasets", "tokenizers", "numpy")]
    if sources.corpus is not None and not is_hub_name(sources.corpus):
        content["corpus"] = [_named_digest(path) for path in corpus_files(sources.corpus)]
    if sources.vocabulary is not None:
        content["vocabulary"] = _vocabulary_digest(sources.vocabulary)
    if sources.task_data is not None and not is_hub_name(sources.task_data):
        folders = [task_files(name, sources.task_data) for name in sources.tasks]
        content["task_data"] = [[_named_digest(path) for path in files.values()] for files in folders]
    for written, task in zip(content["task_files"], sources.task_files, strict=True):
        written["path"] = [[split, _named_digest(path)] for split, path in user_task_files(task).items()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _named_digest(path: Path) -> list[str]:
    return [path.suffix.lower(), digest_file(path)]


def _vocabulary_digest(vocabulary: str) -> str:
    path = Path(vocabulary).expanduser()
    if not path.is_file():
        raise ValueError(f"a vocabulary must be a vocab.txt that exists, got {vocabulary!r}")
    return digest_file(path)


def _is_pinned(source: str) -> bool:
    match = HUB_NAME.fullmatch(source)
    revision = (match["revision"] if match else None) or ""
    return len(revision) == COMMIT_DIGITS and all(letter in "0123456789abcdef" for letter in revision)


def _generated(sources: DataSources) -> "Generated | None":
    """The built-in language, where the corpus or a task comes from it."""
    if sources.corpus is not None and (sources.task_data is not None or not sources.tasks):
        return None
    from search.data.generator import generate

    return generate(sources.generator)


def _named_task(name: str, sources: DataSources, generated: "Generated | None", cache: Path | None) -> RawTask:
    if sources.task_data is not None:
        return read_task(name, sources.task_data, cache)
    assert generated is not None
    if name not in generated.tasks:
        way_out = "give the folder that holds it as task data" if name in LAYOUTS else "or give task data"
        raise ValueError(f"a built-in task must be one of {', '.join(generated.tasks)}, got {name!r}; {way_out}")
    return generated_task(name, generated.tasks[name])


def _pieces(sources: DataSources, documents: Sequence[Sequence[str]], generated: "Generated | None") -> list[str]:
    if sources.vocabulary is not None:
        return pieces_of(read_vocabulary(Path(sources.vocabulary).expanduser()))
    if sources.corpus is None:
        assert generated is not None
        check_pieces(generated.vocabulary, "the built-in language")
        return pieces_of(build_tokenizer(generated.vocabulary))
    return pieces_of(train_tokenizer((text for document in documents for text in document), sources.vocab_size))


def _task_spec(task: CleanTask) -> TaskSpec:
    return TaskSpec(
        name=task.name,
        kind=task.kind,
        metric=task.metric,
        label_names=task.label_names,
        identity=task_identity(task),
    )
