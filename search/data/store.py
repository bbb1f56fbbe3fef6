"""Prepared data as files: arrays in safetensors, the rest in JSON.

Knows the form of the files and nothing of where data come from. Imports neither datasets nor tokenizers nor torch,
since every worker reads through it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from search.data.pretraining import PretrainingData, SpecialIds, pretraining_data
from search.data.tasks import Compact, SpanText, TaskSplit, expand
from search.files import read_json


def pack_corpus(data: PretrainingData) -> bytes:
    """A tokenised corpus as a safetensors file."""
    return save(
        {
            "token_ids": data.token_ids,
            "segment_lengths": np.diff(data.segment_offsets).astype(np.int32),
            "document_lengths": np.bincount(data.segment_documents).astype(np.int32),
        }
    )


def unpack_corpus(path: Path, special: SpecialIds, vocab_size: int) -> PretrainingData:
    """The corpus of `pack_corpus`.

    Raises:
        ValueError: one line naming the file, when it is missing or broken.
    """
    arrays = _arrays(path, ("token_ids", "segment_lengths", "document_lengths"))
    return pretraining_data(
        arrays["token_ids"],
        arrays["segment_lengths"].astype(np.int64),
        arrays["document_lengths"].astype(np.int64),
        special,
        vocab_size,
    )


def pack_split(compact: Compact, spans: SpanText | None) -> dict[str, bytes]:
    """One split of a task as the contents of files, by suffix: .safetensors, and .json for the texts of spans."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "token_ids": compact.token_ids,
        "firsts": compact.firsts,
        "sizes": compact.sizes,
        "labels": compact.labels,
    }
    if spans is None:
        return {".safetensors": save(arrays)}
    arrays |= {"examples": spans.examples, "characters": spans.characters}
    numbers = {context: number for number, context in enumerate(dict.fromkeys(spans.contexts))}
    texts = {
        "contexts": list(numbers),
        "context_numbers": [numbers[context] for context in spans.contexts],
        "answers": spans.answers,
    }
    return {".safetensors": save(arrays), ".json": json.dumps(texts, ensure_ascii=False).encode("utf-8")}


def unpack_split(stem: Path) -> TaskSplit:
    """The split of `pack_split`.

    Args:
        stem: the path without suffix.

    Raises:
        ValueError: one line naming the file, when it is missing or broken.
    """
    arrays = _arrays(stem.with_name(f"{stem.name}.safetensors"), ("token_ids", "firsts", "sizes", "labels"))
    spans = None
    if "examples" in arrays:
        texts = read_json(stem.with_name(f"{stem.name}.json"))
        spans = SpanText(
            examples=arrays["examples"],
            characters=arrays["characters"],
            contexts=[texts["contexts"][number] for number in texts["context_numbers"]],
            answers=texts["answers"],
        )
    compact = Compact(
        token_ids=arrays["token_ids"], firsts=arrays["firsts"], sizes=arrays["sizes"], labels=arrays["labels"]
    )
    return expand(compact, spans)


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    try:
        arrays: dict[str, npt.NDArray[Any]] = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} must be a whole safetensors file, got: {reason}; prepare the data again") from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} must hold {', '.join(names)}, got none of {', '.join(missing)}; prepare the data again"
        )
    return arrays
