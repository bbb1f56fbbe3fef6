"""Tables as CSV and JSON files. Text that a spreadsheet would run as a formula is disarmed by a leading quote."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.files import write_whole

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Spreadsheets read the full-width forms of a sign like the sign."""


_NESTED = {list, dict}
_BY_LINES = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",\n  ", ": "))


def disarm(cell: Any) -> Any:
    """A cell for CSV: text that begins like a formula gets a leading apostrophe, missing becomes empty.

    >>> disarm("=1+1"), disarm(-3.5), disarm(None)
    ("'=1+1", -3.5, '')
    """
    if cell is None:
        return ""
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell


def write_table(folder: Path, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> list[Path]:
    """Write folder/name.csv and folder/name.json with the same rows; numbers in full, missing as empty and null.

    Args:
        columns: their order; needed where there may be no rows.
    """
    heads = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    plain = [{head: _plain(row.get(head)) for head in heads} for row in rows]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([disarm(head) for head in heads])
    writer.writerows([disarm(_cell(row[head])) for head in heads] for row in plain)
    paths = [folder / f"{name}.csv", folder / f"{name}.json"]
    write_whole(paths[0], stream.getvalue())
    write_whole(paths[1], _json(plain) + "\n")
    return paths


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    """What `json.dumps` gives with an indent of 1; without one it is written in C, ten times as fast."""
    objects = ",\n".join(
        _flat(row) if row and _NESTED.isdisjoint(map(type, row.values())) else _deep(row) for row in rows
    )
    return f"[\n{objects}\n]" if objects else "[]"


def _flat(row: Mapping[str, Any]) -> str:
    return f" {{\n  {_BY_LINES.encode(row)[1:-1]}\n }}"


def _deep(row: Mapping[str, Any]) -> str:
    text = json.dumps(row, indent=1, ensure_ascii=False, allow_nan=False)
    return " " + text.replace("\n", "\n ")  # a text's own line ends are escaped


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _plain(value: Any) -> Any:
    """A value as JSON knows it; not-a-number and pandas' missing value become None."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)
