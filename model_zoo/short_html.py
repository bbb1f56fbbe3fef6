"""Values as small HTML tables for notebooks: every text escaped, no script, no style; knows no particular value."""

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from html import escape
from typing import Any

LONGEST = 160
"""Letters of a cell; what is longer is cut."""


def short_table(title: str, rows: Iterable[Sequence[object]], head: Sequence[object] = ()) -> str:
    """A table with a caption; the first cell of a row says what the row is.

    Args:
        head: the names of the columns; none where left out.

    >>> short_table("A < B", [("width", 64)])
    '<table><caption>A &lt; B</caption><tbody><tr><th scope="row">width</th><td>64</td></tr></tbody></table>'
    """
    names = "".join(f'<th scope="col">{_cell(name)}</th>' for name in head)
    lines = [
        f'<tr><th scope="row">{_cell(first)}</th>{"".join(f"<td>{_cell(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    ]
    top = f"<thead><tr>{names}</tr></thead>" if names else ""
    return f"<table><caption>{_cell(title)}</caption>{top}<tbody>{''.join(lines)}</tbody></table>"


def told_fields(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Dotted name and text of each field of a dataclass that has no default or is not at it.

    Values inside the value are told field by field.
    """
    found: list[tuple[str, str]] = []
    for one in fields(value):
        held = getattr(value, one.name)
        if one.default is not MISSING and held == one.default:
            continue
        if is_dataclass(held):
            found += told_fields(held, f"{prefix}{one.name}.")
        else:
            found.append((f"{prefix}{one.name}", str(held)))
    return found


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...")
