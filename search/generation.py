"""One generation of a run: what was proposed, and the latency session of its encoders, kept in one file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model_zoo.student import Student
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.latency.protocol import fixed_rounds
from search.latency.session import LatencySession, Outcome
from search.record import Measurement, Proposal, TrialRecord, set_aside
from search.study import Ablation, Search
from search.trial import TrialSpec
from search.values import from_json, to_json

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Proposals in the order of their Optuna numbers, duplicates included."""

    index: int
    proposals: tuple[Proposal, ...]
    fingerprints: tuple[str, ...]
    """Of the trial that each proposal stands for."""
    session: LatencySession | None
    """None where every encoder had been measured before, or no session was good enough to be kept."""
    refused: tuple[str, ...] = ()
    """Why latency sessions were not kept, one line each; without a session the new encoders have no latency."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {self.schema}; this generation is of another version")


def generation_path(run: Path, index: int) -> Path:
    """Where a generation is kept."""
    return run / "latency" / f"generation-{index:04d}.json"


def write_generation(run: Path, generation: Generation) -> None:
    """Write a generation whole."""
    write_whole(generation_path(run, generation.index), json.dumps(to_json(generation), allow_nan=False) + "\n")


def read_generations(
    run: Path, say: Callable[[str], None], check: Callable[[Generation], None] = lambda generation: None
) -> list[Generation]:
    """All generations of a run in order. A corrupted file is moved aside, and with it those that came after.

    Args:
        check: raises ValueError for a generation that is not of the study.
    """
    found: list[Generation] = []
    for path in sorted((run / "latency").glob("generation-*.json")):
        try:
            generation = from_json(Generation, read_json(path), place=path.name)
            if generation.index != len(found):
                raise ValueError(f"{path.name} follows a generation that is missing")
            check(generation)
            found.append(generation)
        except ValueError as error:
            say(f"{error}; moved to {set_aside(run, path).relative_to(run)}, it is proposed and measured again")
    return found


def measure(
    study: Search | Ablation,
    specs: Mapping[str, TrialSpec],
    index: int,
    device: str,
    progress: Callable[[int, int], None],
) -> Outcome:
    """Measure the latency of all encoders of `specs` (trials by fingerprint) in one interleaved session.

    A session whose A/A control is too wide is done again; after the last repeat there is none. Nothing else may run
    meanwhile. Encoders are told apart by their own fingerprint: latency is a property of (encoder, runtime, device,
    batch, length), not of weights, so arms and seeds with one encoder share its measurement.
    """
    students: dict[str, Student] = {fingerprint(spec.student): spec.student for spec in specs.values()}
    from search.latency.measure import measure_until_kept

    if not students:
        return Outcome(None, ())
    return measure_until_kept(
        students,
        study.baseline.student,
        study.latency.on(device),
        seed=index,
        protocol=fixed_rounds(study.latency_rounds, control_width=study.latency_control_width),
        progress=progress,
    )


def write_front_session(run: Path, session: LatencySession) -> None:
    """Write the session that checks predicted latencies, RUN/latency/front.json."""
    write_whole(run / "latency" / "front.json", json.dumps(to_json(session), allow_nan=False) + "\n")


def with_measured_latency(record: TrialRecord, session: LatencySession) -> TrialRecord:
    """The record with `measured_latency_ms` and `measured_latency_ratio` beside its predicted ones."""
    mark = fingerprint(record.spec.student)
    if all(candidate.name != mark for candidate in session.candidates):
        return record
    kept = [one for one in record.measurements if not one.metric.startswith("measured_")]
    added = [replace(one, metric=f"measured_{one.metric}") for one in latency_measurements(session, record.spec)]
    return replace(record, measurements=(*kept, *added))


def latency_measurements(session: LatencySession, spec: TrialSpec) -> tuple[Measurement, ...]:
    """What a session says of one trial's encoder: ms, and the ratio to the reference, each with its interval."""
    from search.latency.summary import measurements, summarise

    return measurements(summarise(session), fingerprint(spec.student), session.case, "baseline")


def by_generation(generations: Sequence[Generation], mark: str) -> LatencySession | None:
    """The first session that measured the encoder with this fingerprint."""
    for generation in generations:
        session = generation.session
        if session is not None and any(candidate.name == mark for candidate in session.candidates):
            return session
    return None
