"""A JSON document of a run folder, or in a few words why there is none. Knows nothing of what documents hold."""

from pathlib import Path
from typing import Any

from search.files import read_json

SCHEMA = 1
DAMAGED = "is not JSON but damaged"


def load(path: Path) -> tuple[Any, str]:
    """The value of a file and an empty text, or None and why it cannot be read, as the end of a sentence about it."""
    try:
        return read_json(path), ""
    except OSError as error:
        return None, f"cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return None, DAMAGED


def schema_problem(content: Any, what: str) -> str:
    """Why a document is none of this version's; empty where it is."""
    if isinstance(content, dict) and content.get("schema") == SCHEMA:
        return ""
    return newer_schema(content, what) or f"is not a {what} of schema {SCHEMA}"


def newer_schema(content: Any, what: str) -> str:
    """That a document is of a later version; empty where it does not say so."""
    found = content.get("schema") if isinstance(content, dict) else None
    if isinstance(found, int) and found > SCHEMA:
        return f"is a {what} of schema {found}, newer than the {SCHEMA} that this version reads; update thinbert"
    return ""
