"""How long an item takes, and how long against another one: from sessions that timed both, else from two records.

The order of preference, each with an interval at 95 %:

1. At least six sessions of one run timed both: the geometric mean over sessions of the ratio of their medians; the
   interval holds every mean that the exact sign-flip test of the logarithms does not reject.
2. Fewer sessions did: the median over the first one's rounds of the ratio inside the round, with the bootstrap interval
   of `search/latency/summary.py`. What differs from session to session is not in it.
3. Two records, each a ratio to the same reference under the same conditions: the ratio of the two. Its interval treats
   the two as independent (Zou and Donner 2008, Construction of confidence limits about effect measures, section 2), on
   the logarithmic scale.

Where conditions differ there is no ratio, and the reason is said.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np

from reports.comparison.subjects import Subject
from reports.contrast import LEVEL, SMALLEST_NUM_PAIRS
from reports.pareto import Interval
from reports.readable import plural
from reports.records import Record, baseline_of, find_measurement
from reports.sessions import Session
from reports.sign_flip import sign_flip
from search.trial import changes

CASE = ("runtime", "device", "dtype", "threads", "batch", "length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one item takes for a forward pass, or why that is not known."""

    ms: float | None
    interval: Interval
    """Within the one session that a record is of; None where there are several."""
    session_ms: tuple[float, ...]
    """The median of each session, where there are at least two."""
    conditions: Mapping[str, Any]
    """Runtime, device, threads, batch, length, machine, torch; what was not recorded is absent."""
    reason: str
    """Why there is no number; empty where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRatio:
    """An item's time over the first one's, or why there is no such number."""

    ratio: float | None
    interval: Interval
    """At 95 %; None where there is none."""
    basis: str
    """What was measured, such as `8 sessions`."""
    reason: str
    """Why there is no ratio; empty where there is one."""
    same_encoder: bool = False


def timing(subject: Subject) -> Timing:
    """The time of one forward pass: the mean of session medians where several sessions timed it, else its record's."""
    if subject.source is None:
        return _unknown("it was not measured; `thinbert measure` does")
    timed = [session for session in subject.source.run.sessions.kept if subject.encoder in session.samples]
    measured = _measured(subject, "latency_ms")
    if len(timed) > 1 and _alike(timed):
        medians = tuple(median(session.samples[subject.encoder]) / 1e6 for session in timed)
        return Timing(
            ms=fmean(medians), interval=None, session_ms=medians, conditions=_surroundings(subject, measured), reason=""
        )
    if measured is None:
        predicted = any(find_measurement(record, "latency_ms") for record in subject.records)
        return _unknown("its latency is predicted, not measured" if predicted else "no latency was recorded")
    return Timing(
        ms=float(measured["value"]),
        interval=_bounds(measured),
        session_ms=(),
        conditions=_surroundings(subject, measured),
        reason="",
    )


def latency_ratio(subject: Subject, against: Subject) -> LatencyRatio:
    """The time of one item over that of another, by the first of the three ways that is open."""
    if subject.student == against.student:
        return LatencyRatio(ratio=1.0, interval=None, basis="the same encoder", reason="", same_encoder=True)
    unmeasured = [one.name for one in (subject, against) if one.source is None]
    if unmeasured:
        return _refused(f"{' and '.join(unmeasured)} {'was' if len(unmeasured) == 1 else 'were'} not measured")
    assert subject.source is not None and against.source is not None
    if subject.source.folder == against.source.folder:
        marks = (subject.encoder, against.encoder)
        shared = [
            session for session in subject.source.run.sessions.kept if all(mark in session.samples for mark in marks)
        ]
        if len(shared) >= SMALLEST_NUM_PAIRS and _alike(shared):
            return _by_sessions(shared, marks, subject.source.run.sessions.num_refused)
        if shared:
            return _by_rounds(shared[0], marks)
    return _by_records(subject, against)


def conditions_text(conditions: Mapping[str, Any]) -> str:
    """Such as `eager, cpu, 1 thread, 32 x 64 tokens`.

    >>> conditions_text({"runtime": "eager", "device": "cpu", "threads": 1, "batch": 32, "length": 64})
    'eager, cpu, 1 thread, 32 x 64 tokens'
    """
    parts = [str(conditions[name]) for name in ("runtime", "device") if name in conditions]
    parts += [str(conditions["dtype"])] if conditions.get("dtype", "float32") != "float32" else []
    if isinstance(conditions.get("threads"), int):
        parts.append(plural(conditions["threads"], "thread"))
    if "batch" in conditions and "length" in conditions:
        parts.append(f"{conditions['batch']} x {conditions['length']} tokens")
    return ", ".join(parts) or "conditions not recorded"


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The conditions that differ or are not recorded, such as `batch 32 and 1`; empty where none do."""
    said = []
    for name in (*CASE, "machine", "torch"):
        usual = "float32" if name == "dtype" else None
        left, right = one.get(name, usual), other.get(name, usual)
        if left is None or right is None:
            said.append(f"{name} not recorded")
        elif left != right:
            said.append(f"{name} {left} and {right}")
    return ", ".join(said)


def _by_sessions(sessions: list[Session], marks: tuple[str, str], num_refused: int) -> LatencyRatio:
    logs = [math.log(median(one.samples[marks[0]]) / median(one.samples[marks[1]])) for one in sessions]
    ends = sign_flip(np.array([logs]), LEVEL)
    low, high = float(ends.low[0]), float(ends.high[0])
    basis = plural(len(sessions), "session") + (f", {num_refused} more refused" if num_refused else "")
    interval = (math.exp(low), math.exp(high)) if math.isfinite(low) else None
    return LatencyRatio(ratio=math.exp(fmean(logs)), interval=interval, basis=basis, reason="")


def _by_rounds(session: Session, marks: tuple[str, str]) -> LatencyRatio:
    from search.latency.summary import estimates

    ratios = np.array([session.samples[marks[0]]]) / np.array([session.samples[marks[1]]])
    (found,) = estimates(ratios)
    interval = None if found.interval is None else (found.interval.low, found.interval.high)
    basis = f"one session of {plural(found.n, 'round')}"
    return LatencyRatio(ratio=found.value, interval=interval, basis=basis, reason="")


def _by_records(subject: Subject, against: Subject) -> LatencyRatio:
    one, other = _measured(subject, "latency_ratio"), _measured(against, "latency_ratio")
    if one is None or other is None:
        names = [item.name for item, found in ((subject, one), (against, other)) if found is None]
        return _refused(f"no measured latency of {' and '.join(names)}")
    said = differing(_surroundings(subject, one), _surroundings(against, other)) or _other_reference(subject, against)
    if said:
        return _refused(f"their latencies were not measured under the same conditions ({said})")
    # As logarithms: the distance of the two, each end as far out as both errors together.
    values = [math.log(float(found["value"])) for found in (one, other)]
    bounds = [_bounds(found) for found in (one, other)]
    distance, interval = values[0] - values[1], None
    if bounds[0] is not None and bounds[1] is not None:
        (low, high), (base_low, base_high) = ([math.log(end) for end in found] for found in (bounds[0], bounds[1]))
        down = math.hypot(values[0] - low, base_high - values[1])
        up = math.hypot(high - values[0], values[1] - base_low)
        interval = (math.exp(distance - down), math.exp(distance + up))
    return LatencyRatio(ratio=math.exp(distance), interval=interval, basis="ratios to one reference", reason="")


def _measured(subject: Subject, metric: str) -> Record | None:
    """A measured latency of the encoder, in whichever of its records; a predicted one is none."""
    for record in subject.records:
        for name in (f"measured_{metric}", metric):
            found = find_measurement(record, name)
            if found is not None and found["conditions"].get("source") != "predicted" and float(found["value"]) > 0:
                return found
    return None


def _bounds(measurement: Record) -> Interval:
    interval = measurement.get("interval")
    if not interval or not 0 < interval["low"] <= interval["high"]:
        return None
    return float(interval["low"]), float(interval["high"])


def _surroundings(subject: Subject, measurement: Record | None) -> dict[str, Any]:
    """The case and the machine: a session's own where it was kept, else what the record says."""
    assert subject.source is not None
    session = next((one for one in subject.source.run.sessions.kept if subject.encoder in one.samples), None)
    made = subject.records[0]["provenance"] if subject.records else {}
    about = session.conditions if session is not None and session.conditions else made
    versions = about.get("versions")
    found = {name: (measurement or {"conditions": {}})["conditions"].get(name) for name in CASE}
    if session is not None and session.case:
        found |= {name: session.case[name] for name in CASE if name in session.case}
    found |= {"machine": about.get("machine"), "torch": versions.get("torch") if isinstance(versions, dict) else None}
    return {name: value for name, value in found.items() if value is not None}


def _other_reference(subject: Subject, against: Subject) -> str:
    """What differs between what the two ratios refer to; empty for one reference."""
    assert subject.source is not None and against.source is not None
    if subject.source.folder == against.source.folder:
        return ""
    one, other = (baseline_of(item.source.run.study) for item in (subject, against) if item.source)
    if one is None or other is None:
        return "reference not recorded"
    found = changes(one["student"], other["student"])
    listed = ", ".join(f"{change.field} {change.before} and {change.after}" for change in found[:3])
    return f"another reference: {listed}" if found else ""


def _alike(sessions: list[Session]) -> bool:
    """Whether all sessions were of one case, on one machine."""
    first = sessions[0]
    return all(
        one.case == first.case and one.conditions.get("machine") == first.conditions.get("machine") for one in sessions
    )


def _unknown(reason: str) -> Timing:
    return Timing(ms=None, interval=None, session_ms=(), conditions={}, reason=reason)


def _refused(reason: str) -> LatencyRatio:
    return LatencyRatio(ratio=None, interval=None, basis="", reason=reason)
