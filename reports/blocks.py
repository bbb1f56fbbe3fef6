"""What is paired: the value of an arm's metric in one block, a seed or a measuring session, or why there is none.

Knows nothing of claims or tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reports.contrast import PRIMARY, arm_names, looks_of, loss_reason, records_by_arm, study_seeds
from reports.points import accuracy_of
from reports.readable import plural
from reports.records import Record, Run, find_measurement, value_of
from reports.sessions import SESSION_UNITS
from search.claim import Term


@dataclass(frozen=True, slots=True, kw_only=True)
class LostBlock:
    """A seed or session in which an arm has no value, and why."""

    block: int
    arm: str
    reason: Literal["diverged", "failed", "not trained", "not measured", "session refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """All blocks of a run, or those up to a look."""

    seeds: tuple[int, ...]
    table: Mapping[tuple[str, int], Record]
    """The record of each (arm, seed)."""
    sessions: tuple[Mapping[str, Mapping[str, float]] | None, ...]
    """Of each planned measuring session what it says of each encoder, by fingerprint; None where it was refused."""
    encoders: Mapping[str, str]
    """The fingerprint of each arm's encoder."""
    unfinished: str
    """What is still to come, such as `3 trials`; empty for a finished run."""

    def numbers(self, kind: str) -> tuple[int, ...]:
        """The blocks of a kind; sessions are counted from 0."""
        return self.seeds if kind == "seeds" else tuple(range(len(self.sessions)))

    def value(self, kind: str, block: int, term: Term) -> float | LostBlock:
        """An arm's metric in one block."""
        if kind == "seeds":
            record = self.table.get((term.arm, block))
            value = _of_record(record, term.metric) if record is not None and record["status"] == "complete" else None
            return LostBlock(block=block, arm=term.arm, reason=loss_reason(record)) if value is None else value
        session = self.sessions[block]
        if session is None:
            return LostBlock(block=block, arm=term.arm, reason="session refused")
        found = session.get(self.encoders.get(term.arm, ""), {}).get(term.metric)
        return LostBlock(block=block, arm=term.arm, reason="not measured") if found is None else found

    def unit(self, kind: str, metric: str) -> str:
        """The unit of a difference of a metric, `points` for what is measured in per cent."""
        if kind == "sessions":
            return SESSION_UNITS.get(metric, "")
        units = (find_measurement(record, metric) for record in self.table.values())
        unit = next((str(item.get("unit", "")) for item in units if item), "%" if "accuracy" in metric else "")
        return "points" if unit == "%" else unit


def blocks_of(run: Run, num_seeds: int | None = None) -> Blocks:
    """The blocks of a run.

    Args:
        num_seeds: the first so many of the declared seeds; all of them (of a run with looks: of the looks that are
            done) where left out.
    """
    seeds = study_seeds(run.records, run.study, num_seeds)
    table, arms = records_by_arm(run.records), arm_names(run.study)
    missing = sum((arm, seed) not in table for arm in arms for seed in seeds)
    planned = run.study.get("latency_sessions")
    not_measured = max(0, planned - len(run.sessions.blocks)) if isinstance(planned, int) and run.needs_sessions else 0
    waits = [plural(missing, "trial") if missing else "", plural(not_measured, "session") if not_measured else ""]
    looks, done = looks_of(run.study)
    if looks and not done:
        waits.insert(0, f"the first of {plural(len(looks), 'look')}")
    listed = run.study.get("arms")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return Blocks(
        seeds=tuple(seeds),
        table=table,
        sessions=run.sessions.blocks,
        encoders={str(entry.get("name")): str(entry.get("encoder", "")) for entry in entries},
        unfinished=" and ".join(wait for wait in waits if wait),
    )


def _of_record(record: Record, metric: str) -> float | None:
    """The test split's value; the accuracy as every other table shows it."""
    return accuracy_of(record) if metric == PRIMARY else value_of(record, metric, "test")
