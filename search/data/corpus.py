"""A corpus: documents, each a list of sentences in reading order, and the hash that names them.

Knows nothing of tokens. What a document is:
- with a column `doc_id`: the rows of one file that share it; a row whose doc_id is missing is a document of its own;
- in a .txt file: what stands between blank lines;
- else: one file.
Files are read in the order of their content's digest, so that renaming or moving them changes nothing.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.data.tables import READERS, Table, column, digest_file, find_tables, is_hub_name, read_hub, read_table

UNKNOWN = "[UNK]"
SENTENCE_END = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))"  # a full stop, perhaps inside a closing quote or bracket ...
    r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bNo\.)(?<!\b[A-Z]\.)"  # ... of no title or initial
    r"\s+(?=[\"'(\[]*[A-Z0-9])"  # before what can begin a sentence
)
WIKITEXT_JOINERS = re.compile(r" @([-,.])@ ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    documents: list[list[str]]
    """Sentences of each document, in reading order; none is empty."""
    identity: str
    """SHA-256 of the sentences and of where documents end."""


def load_corpus(source: str, cache: Path | None = None) -> Corpus:
    """Read a corpus from a file, a folder or the hub.

    Args:
        source: a path (in a folder every parquet, csv, tsv, json, jsonl and txt file at any depth counts, but only
            those named train.* where there are any), or `hub:owner/name` (its train split).
        cache: where a download is kept.

    Raises:
        ValueError: one line: no such path, nothing readable, no column `text` (says which there are), or no text.
    """
    tables = _hub_tables(source, cache) if is_hub_name(source) else map(read_table, corpus_files(source))
    documents = [document for table in tables for document in _documents(table)]
    if not documents:
        raise ValueError(f"a corpus must hold text, got {source!r} in which every text is empty")
    return Corpus(documents=documents, identity=identity_of(documents))


def corpus_files(source: str) -> list[Path]:
    """The files that a local corpus is read from, in the order of their digests (equal files: once).

    Raises:
        ValueError: one line: no such path, or nothing readable in it.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise ValueError(
            f"a corpus must be a path that exists, or a hub data set written hub:owner/name, got {source!r}"
        )
    files = find_tables(path) if path.is_dir() else [path]
    files = [file for file in files if file.stem.lower() == "train"] or files
    if path.is_file() and path.suffix.lower() not in READERS:
        raise ValueError(f"a corpus file must be .parquet, .csv, .tsv, .json, .jsonl or .txt, got {source!r}")
    if not files:
        raise ValueError(f"a corpus folder must hold .parquet, .csv, .tsv, .json, .jsonl or .txt files, got {source!r}")
    by_digest = {digest_file(file): file for file in files}
    return [by_digest[digest] for digest in sorted(by_digest)]


def identity_of(documents: Sequence[Sequence[str]]) -> str:
    """SHA-256 of documents: sentences end with a line feed, documents with a form feed."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(("\n".join(document) + "\n\f").encode("utf-8"))
    return digest.hexdigest()


def split_sentences(paragraph: str) -> list[str]:
    """Sentences of a paragraph, by a simple rule; white space becomes single spaces.

    A sentence ends at a full stop, question or exclamation mark (perhaps followed by a closing quote or bracket) before
    white space and a capital letter or digit, but not after an initial or a common title. Text without capitals stays
    whole.
    WikiText's ` @-@ `, ` @,@ ` and ` @.@ ` are put back to what they stand for, and `<unk>` becomes `[UNK]`.

    >>> split_sentences('He met Mr. Brown. "Well !" They sat down . It rained @-@ a lot')
    ['He met Mr. Brown.', '"Well !"', 'They sat down .', 'It rained-a lot']
    """
    text = WIKITEXT_JOINERS.sub(r"\1", " ".join(paragraph.split())).replace("<unk>", UNKNOWN)
    return [sentence for sentence in SENTENCE_END.split(text) if sentence]


def _hub_tables(source: str, cache: Path | None) -> list[Table]:
    tables = read_hub(source, cache)
    if "train" not in tables:
        raise ValueError(f"a corpus of the hub must have a train split, got {source!r} with {', '.join(tables)}")
    return [tables["train"]]


def _documents(table: Table) -> list[list[str]]:
    if not len(table):
        return []
    texts = column(table, "text")
    if table.place.lower().endswith(".txt"):
        groups: list[list[Any]] = [re.split(r"\n\s*\n", text) for text in texts]
        parts = [[part] for group in groups for part in group]
    elif "doc_id" in table.columns:
        parts = _by_document(texts, table.columns["doc_id"])
    else:
        parts = [texts]
    documents = [_sentences(part, table.place) for part in parts]
    return [document for document in documents if document]


def _by_document(texts: list[Any], doc_ids: list[Any]) -> list[list[Any]]:
    parts: dict[object, list[Any]] = {}
    for row, (text, doc_id) in enumerate(zip(texts, doc_ids, strict=True)):
        parts.setdefault(("row", row) if doc_id is None else doc_id, []).append(text)
    return list(parts.values())


def _sentences(texts: list[Any], place: str) -> list[str]:
    wrong = next((text for text in texts if text is not None and not isinstance(text, str)), None)
    if wrong is not None:
        raise ValueError(f"{place} must hold text in its column 'text', got {wrong!r:.60}")
    paragraphs = (paragraph for text in texts if text for paragraph in text.split("\n"))
    return [sentence for paragraph in paragraphs for sentence in split_sentences(paragraph)]
