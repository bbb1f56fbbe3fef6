"""From text to the files of a prepared folder: tokenised corpus and tasks, and what was found on the way.

Knows the names of the files and not where they go. Nothing here is remembered between calls.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from search.data.load import Loaded
from search.data.pretraining import PretrainingData, SpecialIds, pretraining_data
from search.data.report import CorpusReport, DataReport, TaskReport, task_report
from search.data.rows import CleanTask
from search.data.spans import encode_spans
from search.data.store import pack_corpus, pack_split
from search.data.tasks import encode_rows, encode_texts
from search.data.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK = 100_000
"""Sentences tokenised at once."""


def pack(loaded: Loaded, write: Callable[[str, bytes], None]) -> tuple[SpecialIds, DataReport]:
    """Tokenise everything.

    Args:
        write: is given each file's name and content, one file after the other.

    Raises:
        ValueError: the corpus has no document of two sentences.
    """
    tokenizer = build_tokenizer(loaded.pieces)
    special = special_ids(loaded.pieces)
    write("tokenizer.json", tokenizer.to_str(pretty=True).encode("utf-8"))
    data = tokenise(loaded.documents, tokenizer, special)
    write("corpus.safetensors", pack_corpus(data))
    tasks = tuple(_pack_task(task, tokenizer, special, loaded.spec.length, write) for task in loaded.tasks)
    report = DataReport(
        length=loaded.spec.length, vocab_size=loaded.spec.vocab_size, corpus=_corpus_report(data), tasks=tasks
    )
    return special, report


def special_ids(pieces: Sequence[str]) -> SpecialIds:
    """Where BERT's special pieces are in a vocabulary."""
    place = {piece: index for index, piece in enumerate(pieces)}
    return SpecialIds(
        pad=place["[PAD]"],
        unknown=place["[UNK]"],
        start=place["[CLS]"],
        separator=place["[SEP]"],
        mask=place["[MASK]"],
    )


def tokenise(documents: Sequence[Sequence[str]], tokenizer: "Tokenizer", special: SpecialIds) -> PretrainingData:
    """Documents of sentences as flat arrays; sentences and documents without a token are left out."""
    sentences = [sentence for document in documents for sentence in document]
    tokens: list[npt.NDArray[np.int32]] = []
    for start in range(0, len(sentences), CHUNK):
        encoded = encode_texts(tokenizer, sentences[start : start + CHUNK])
        tokens += [np.array(ids, dtype=np.int32) for ids in encoded]
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
    owners = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
    in_document = np.bincount(owners[lengths > 0], minlength=len(documents))
    return pretraining_data(
        np.concatenate(tokens),
        lengths[lengths > 0],
        in_document[in_document > 0].astype(np.int64),
        special,
        tokenizer.get_vocab_size(),
    )


def _pack_task(
    task: CleanTask, tokenizer: "Tokenizer", special: SpecialIds, length: int, write: Callable[[str, bytes], None]
) -> TaskReport:
    cut: dict[str, int] = {}
    for split, rows in task.splits.items():
        if task.kind == "span":
            training = split == "train"
            compact, spans, cut[split] = encode_spans(rows, tokenizer, special, length, training=training)
        else:
            compact, cut[split] = encode_rows(rows, task.kind, tokenizer, special, length)
            spans = None
        for suffix, content in pack_split(compact, spans).items():
            write(f"{task.name}-{split}{suffix}", content)
    return task_report(task, cut)


def _corpus_report(data: PretrainingData) -> CorpusReport:
    sizes = np.bincount(data.segment_documents)
    return CorpusReport(
        documents=data.num_documents,
        sentences=len(data.segment_documents),
        tokens=data.num_tokens,
        unknown_share=float(np.mean(data.token_ids == data.special.unknown)),
        lone_documents=int(np.sum(sizes == 1)),
    )
