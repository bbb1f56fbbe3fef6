"""The word pieces of a folder that transformers wrote, from its vocab.txt or its tokenizer.json.

What is built from them is always BERT's uncased WordPiece (search.data.tokenizer); a folder that says otherwise is
refused. Imports no library.
"""

from pathlib import Path
from typing import Any

from search.files import read_json

VOCABULARY, TOKENIZER, SETTINGS = "vocab.txt", "tokenizer.json", "tokenizer_config.json"


def vocabulary_file(folder: Path) -> Path:
    """The file that holds the folder's word pieces.

    Raises:
        ValueError: one line: there is none, or the tokenizer keeps upper case.
    """
    settings = read_json(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
    if isinstance(settings, dict) and settings.get("do_lower_case", True) is not True:
        raise ValueError(
            f"{folder / SETTINGS}: do_lower_case must be true, got {settings['do_lower_case']!r}: every tokenizer here "
            "is uncased; bring an uncased teacher"
        )
    for name in (VOCABULARY, TOKENIZER):
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"{folder} must hold {VOCABULARY} or {TOKENIZER}, both are missing; save the tokenizer beside it")


def tokenizer_pieces(path: Path) -> list[str]:
    """The word pieces of a tokenizer.json in the order of their ids.

    Raises:
        ValueError: one line: no JSON, no uncased WordPiece, or ids with a gap.
    """
    document = read_json(path)
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        raise ValueError(f"{path} must be a tokenizer.json with a model and its vocab, got another JSON document")
    _check_kind(path, model.get("type", "WordPiece"), document.get("normalizer"))
    if model.get("continuing_subword_prefix", "##") != "##":
        raise ValueError(
            f"{path}: continuing pieces must begin with '##', got {model['continuing_subword_prefix']!r}; bring a "
            "BERT's"
        )
    ids: dict[str, Any] = dict(model["vocab"])
    ids |= {token["content"]: token["id"] for token in document.get("added_tokens") or []}
    pieces = sorted(ids, key=lambda piece: int(ids[piece]))
    if [ids[piece] for piece in pieces] != list(range(len(pieces))):
        raise ValueError(f"{path}: word pieces must have the ids 0 to {len(pieces) - 1}, each once; get it again")
    return pieces


def _check_kind(path: Path, kind: object, normalizer: object) -> None:
    if kind != "WordPiece":
        raise ValueError(f"{path}: the tokenizer must be a WordPiece, got {kind!r}; bring a BERT's")
    lowers = isinstance(normalizer, dict) and normalizer.get("type") == "BertNormalizer" and normalizer.get("lowercase")
    if not lowers or normalizer.get("strip_accents") is False:  # type: ignore[attr-defined]
        raise ValueError(
            f"{path}: the normalizer must be BERT's uncased one, got {str(normalizer)[:80]}; bring an uncased teacher"
        )
