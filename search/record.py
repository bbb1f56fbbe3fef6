"""What came out of a trial, and the run folder that keeps it. The trial files are the only truth."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from model_zoo.short_html import short_table
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.trial import TrialSpec
from search.values import from_json, to_json

SCHEMA = 1
Status = Literal["complete", "diverged", "failed"]
Role = Literal["search", "arm", "confirmation", "teacher", "race"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """[low, high] that covers the truth with probability `level`, for the sources of noise its measurement names."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A number with its unit, interval, count and conditions. A missing value is no Measurement at all."""

    metric: str
    value: float
    unit: str
    n: int
    conditions: dict[str, Any]
    interval: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An Optuna trial that led to this record: its number, generation, parameters and their distributions (JSON
    texts)."""

    number: int
    generation: int
    params: dict[str, Any]
    distributions: dict[str, str]
    arm: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One logged value of training: stage, step within the stage, metric."""

    stage: str
    step: int
    metric: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One finished trial, as its file says."""

    fingerprint: str
    status: Status
    role: Role
    spec: TrialSpec
    measurements: tuple[Measurement, ...]
    curves: tuple[CurvePoint, ...]
    provenance: dict[str, Any]
    reason: str = ""
    trials: tuple[Proposal, ...] = ()
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {self.schema}; this record is of another version")
        if self.fingerprint != fingerprint(self.spec):
            raise ValueError(
                f"fingerprint must be that of the spec, got {self.fingerprint} for a spec of {fingerprint(self.spec)}"
            )

    def value(self, metric: str) -> float | None:
        """The value of a metric, None where it was not measured."""
        return next((m.value for m in self.measurements if m.metric == metric), None)

    def _repr_html_(self) -> str:
        """In a notebook: what became of the trial, and every measurement with its interval and unit."""
        arms = ", ".join(dict.fromkeys(one.arm for one in self.trials if one.arm))
        about = f"{self.role}{f' {arms}' if arms else ''}, seed {self.spec.seed}, {self.status}"
        title = f"TrialRecord {self.fingerprint}: {about}{f' ({self.reason})' if self.reason else ''}"
        rows = [(one.metric, f"{one.value:.6g}", _between(one.interval), one.unit) for one in self.measurements]
        return short_table(title, rows, ("metric", "value", "interval", "unit"))


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.6g} to {interval.high:.6g} ({100 * interval.level:g} %)"


def write_record(path: Path, record: TrialRecord) -> None:
    """Write one trial file whole."""
    write_whole(path, json.dumps(to_json(record), indent=1, allow_nan=False) + "\n")


def read_record(path: Path) -> TrialRecord:
    """Read one trial file. Raises ValueError naming the file and what is wrong with it."""
    return from_json(TrialRecord, read_json(path), place=f"trial file {path.name}")


class RunRecords(NamedTuple):
    """Everything a run folder says."""

    records: dict[str, TrialRecord]
    """By fingerprint."""
    problems: tuple[str, ...]
    """One line per file that could not be read."""


def read_records(folder: Path, *, quarantine: bool = False) -> RunRecords:
    """Read all trial files of a run; with `quarantine` a corrupted one is moved aside to RUN/quarantine/."""
    records: dict[str, TrialRecord] = {}
    problems: list[str] = []
    for path in sorted((folder / "trials").glob("*.json")):
        try:
            record = read_record(path)
            if record.fingerprint != path.stem:
                raise ValueError(f"trial file {path.name} holds the trial {record.fingerprint}")
            records[record.fingerprint] = record
        except ValueError as error:
            moved = f"; moved to {set_aside(folder, path).relative_to(folder)}" if quarantine else ""
            problems.append(f"{error}{moved}")
    return RunRecords(records, tuple(problems))


def set_aside(folder: Path, path: Path) -> Path:
    """Move a corrupted file to FOLDER/quarantine/ under a name that is free, and say where it is now."""
    target = folder / "quarantine" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 1
    while target.exists():
        target = target.with_name(f"{path.name}.{count}")
        count += 1
    path.rename(target)
    return target


def with_proposals(record: TrialRecord, proposals: tuple[Proposal, ...]) -> TrialRecord:
    """The record with further Optuna trials that asked for the same configuration."""
    known = {proposal.number for proposal in record.trials}
    added = tuple(proposal for proposal in proposals if proposal.number not in known)
    return replace(record, trials=tuple(sorted((*record.trials, *added), key=lambda p: p.number)))
