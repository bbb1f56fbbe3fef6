"""Configurations side by side: presets, JSON files, trials of a run. Imports nothing heavy, so that it answers at once.

An item is the name of a preset, the path of a JSON file with the fields of an EncoderConfig (or a trial file), or
`RUN:FINGERPRINT`, where the first digits of the fingerprint are enough.
"""

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.presets import PRESETS
from model_zoo.short_html import short_table
from reports.cleaning import clean
from reports.records import Record, read_trials, value_of
from search.files import read_json
from search.trial import changes
from search.values import from_json

SHOWN_METRICS = ("accuracy", "latency_ratio", "latency_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One configuration with its cost, and what was measured where it is a trial."""

    name: str
    config: EncoderConfig
    parameters: int
    flops: int
    """2 x multiply-adds of one sequence of `length` tokens."""
    measurements: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field with its value in every item."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What `compare` answers."""

    items: tuple[Item, ...]
    differences: tuple[Difference, ...]
    """The fields of the config that are not the same everywhere, in their order."""
    length: int

    def _repr_html_(self) -> str:
        """In a notebook: the table of `rows`."""
        head, *lines = rows(self)
        return short_table("Comparison", lines, head)


def compare(names: Sequence[str], *, length: int = 128) -> Comparison:
    """Put the named configurations side by side.

    Args:
        names: presets, JSON files or `RUN:FINGERPRINT`.
        length: tokens of the sequence for which FLOPs are counted.

    Raises:
        ValueError: nothing named, an unknown name (with the nearest ones), a file that holds no config, no such trial
            or several, a length below 1.

    >>> [difference.field for difference in compare(["mobilebert", "mobilebert-released"]).differences]
    ['attention_input']
    """
    if not names:
        raise ValueError(f"compare needs at least one name, got none; presets are {', '.join(PRESETS)}")
    found = [resolve(name) for name in names]
    items = tuple(
        Item(
            name=name,
            config=config,
            parameters=size[0],
            flops=size[1],
            measurements=tuple(measurements),
        )
        for name, config, measurements in found
        for size in [_size(name, config, measurements, length)]
    )
    return Comparison(items=items, differences=_differences(items), length=length)


def to_documents(comparison: Comparison) -> list[dict[str, Any]]:
    """The comparison as JSON: one object per item; `measurements` only where there are any."""
    return [
        {
            "name": item.name,
            "parameters": item.parameters,
            "flops": item.flops,
            "config": dataclasses.asdict(item.config),
            **({"measurements": list(item.measurements)} if item.measurements else {}),
        }
        for item in comparison.items
    ]


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The comparison as a table of texts: the names, then the fields that differ, the cost, and what was measured."""
    table: list[tuple[str, ...]] = [("", *(item.name for item in comparison.items))]
    table += [(entry.field, *(_text(value) for value in entry.values)) for entry in comparison.differences]
    table.append(("parameters", *(f"{item.parameters:,}" for item in comparison.items)))
    flops = f"FLOPs (length {comparison.length})"
    table.append((flops, *(f"{item.flops:,}" for item in comparison.items)))
    for metric in SHOWN_METRICS:
        values = [value_of({"measurements": item.measurements}, metric) for item in comparison.items]
        if any(value is not None for value in values):
            table.append((metric.replace("_", " "), *("-" if value is None else f"{value:.4g}" for value in values)))
    return table


def resolve(name: str) -> tuple[str, EncoderConfig, list[Record]]:
    """Name, config and measurements of a preset, a JSON file or `RUN:FINGERPRINT`. Raises ValueError as `compare`."""
    if name in PRESETS:
        return name, PRESETS[name](), []
    path = Path(name)
    if path.is_file():
        return _read_file(path)
    folder, colon, prefix = name.rpartition(":")
    if colon and folder and Path(folder).is_dir():
        return _read_trial(Path(folder), prefix)
    near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4) or list(PRESETS)
    raise ValueError(
        f"a configuration is a preset, a JSON file or RUN:FINGERPRINT, got {name!r}; "
        f"the nearest presets are {', '.join(near)}"
    )


def _size(name: str, config: EncoderConfig, measurements: Sequence[Record], length: int) -> tuple[int, int]:
    """Parameters and FLOPs from the config; from the trial where it has code of one's own, which is not run here."""
    if config.feed_forward == "dense":
        return cost(config, length).parameters, cost(config, length).flops
    known = {one["metric"]: one for one in measurements if one["metric"] in ("parameters", "flops")}
    if len(known) < 2:
        raise ValueError(
            f"the cost of code of one's own is known of its trials alone, got {name!r}; name RUN:FINGERPRINT"
        )
    counted = known["flops"]["conditions"]["length"]
    if counted != length:
        raise ValueError(
            f"the FLOPs of {name} were counted for {counted} tokens and its own code is not run here, got --length "
            f"{length}; use --length {counted}"
        )
    return int(known["parameters"]["value"]), int(known["flops"]["value"])


def _read_file(path: Path) -> tuple[str, EncoderConfig, list[Record]]:
    content = read_json(path)
    if isinstance(content, dict) and isinstance(content.get("spec"), dict):
        content = content["spec"]
    if isinstance(content, dict) and isinstance(content.get("student"), dict):
        content = content["student"]
    return path.stem, _encoder(content, place=f"config file {path.name}"), []


def _read_trial(folder: Path, prefix: str) -> tuple[str, EncoderConfig, list[Record]]:
    trials = read_trials(folder)
    matching = [record for record in trials if prefix and record["fingerprint"].startswith(prefix)]
    if len(matching) != 1:
        listed = [record["fingerprint"] for record in matching or trials]
        more = ", ..." if len(listed) > 5 else ""
        count = "several" if matching else "none"
        raise ValueError(
            f"a fingerprint must name one trial of {folder.name}, got {prefix!r}, which names {count}; "
            f"{'matching' if matching else 'there'} are {', '.join(listed[:5]) or 'no trials'}{more}"
        )
    record = matching[0]
    name = f"{folder.name}:{record['fingerprint'][:8]}"
    student = _encoder(record["spec"]["student"], place=f"trial file {record['fingerprint']}.json")
    return name, student, clean(record["measurements"])


def _encoder(content: Any, place: str) -> EncoderConfig:
    """A trial's student may be a BiLSTM, whose fields have no counterpart in an encoder's."""
    if isinstance(content, dict) and "num_channels" in content:
        raise ValueError(f"{place} holds a BiLSTM, compare shows encoders; its figures are on the run's page")
    return from_json(EncoderConfig, content, place=place)


def _differences(items: tuple[Item, ...]) -> tuple[Difference, ...]:
    documents = [dataclasses.asdict(item.config) for item in items]
    differing = {change.field for document in documents[1:] for change in changes(documents[0], document)}
    return tuple(
        Difference(field=field, values=tuple(document[field] for document in documents))
        for field in documents[0]
        if field in differing
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
