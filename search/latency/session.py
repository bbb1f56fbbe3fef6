"""The raw samples of one latency session and their conditions, as a value; `search.values` makes it JSON and back."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from model_zoo.student import Student
from search.latency.case import LatencyCase
from search.latency.protocol import Protocol

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySeries:
    """One encoder's samples."""

    config: Student
    repeats: int
    """Forward passes per sample."""
    forward_ns: tuple[float, ...]
    """Nanoseconds per forward pass, one sample per round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSeries:
    """One candidate's samples."""

    name: str
    series: LatencySeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A candidate that could not be measured."""

    name: str
    reason: str
    """One line: it does not build, does not fit, gives numbers that are not finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySession:
    """Candidates, the reference and a second copy of the reference (the A/A control), timed in the same rounds."""

    case: LatencyCase
    reference: LatencySeries
    control: LatencySeries
    """The reference once more: its ratio to the reference is 1 but for noise that pairing did not remove."""
    candidates: tuple[NamedSeries, ...]
    orders: tuple[tuple[int, ...], ...]
    """Which encoder ran when, [round][position]: 0 is the reference, 1 the control, 2 the first candidate."""
    seed: int
    warmup: int
    conditions: dict[str, Any]
    """Machine, versions, thread counts, load average before and after (absent where the system has none), times."""
    protocol: Protocol | None = None
    """The rules of the session; None in a file from before they were written down."""
    unmeasured: tuple[Unmeasured, ...] = ()
    refused: tuple[str, ...] = ()
    """Why sessions before this one were not kept, one line each."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {self.schema}; this latency session is of another version")
        everything = [self.reference, self.control, *(candidate.series for candidate in self.candidates)]
        counts = sorted({len(series.forward_ns) for series in everything} | {len(self.orders)})
        if len(counts) != 1 or counts[0] < 1:
            raise ValueError(f"every series of a latency session must have one sample per round, got counts {counts}")
        if not all(0 < sample < float("inf") for series in everything for sample in series.forward_ns):
            raise ValueError("samples of a latency session must be above 0 and finite, got one that is not")

    @property
    def rounds(self) -> int:
        """Samples of every encoder."""
        return len(self.orders)


class Outcome(NamedTuple):
    """What measuring came to."""

    session: LatencySession | None
    """None where every session was refused."""
    refused: tuple[str, ...]
    """Why sessions were not kept, one line each."""
