"""Configurations side by side: fields that differ, cost, measurements. Imports nothing heavy, so it answers at once.

What names mean is in `reports/comparison/subjects.py`; what the trials of items say about each other, in
`reports/comparison/answer.py`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.short_html import short_table
from reports.comparison.subjects import Subject, read_groups, read_subject
from reports.records import Record, value_of
from search.trial import changes

SHOWN_METRICS = ("accuracy", "onnx-int8/accuracy", "latency_ratio", "latency_ms")
ENCODER_METRICS = ("latency_ratio", "latency_ms", "parameters", "flops")


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
        names: as `reports/comparison/subjects.py` says.
        length: tokens of the sequence for which FLOPs are counted.

    Raises:
        ValueError: nothing named, an unknown name (with the nearest ones), a file that holds no config, no such trial
            or several, a length below 1.

    >>> [difference.field for difference in compare(["mobilebert", "mobilebert-released"]).differences]
    ['attention_input']
    """
    return comparison_of([subject for group in read_groups(names) for subject in group.subjects], length)


def comparison_of(subjects: Sequence[Subject], length: int) -> Comparison:
    """The items that are encoders side by side; others have fields of their own. Raises ValueError as `compare`."""
    items = tuple(
        Item(
            name=subject.name,
            config=subject.student,
            parameters=size[0],
            flops=size[1],
            measurements=tuple(measurements),
        )
        for subject in subjects
        if isinstance(subject.student, EncoderConfig)
        for measurements in [_measurements(subject)]
        for size in [_size(subject.name, subject.student, measurements, length)]
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
    """Name, config and measurements of one item. Raises ValueError as `compare`, and for what is no one encoder."""
    subject = read_subject(name)
    if not isinstance(subject.student, EncoderConfig):
        raise ValueError(f"{subject.name} is a BiLSTM, an encoder is needed; name another arm")
    return subject.name, subject.student, _measurements(subject)


def _measurements(subject: Subject) -> list[Record]:
    """What its trial measured; of several trials what is the encoder's own, the same for every seed."""
    found: list[Record] = list(subject.records[0]["measurements"]) if subject.records else []
    return found if len(subject.blocks) < 2 else [one for one in found if one["metric"] in ENCODER_METRICS]


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
