"""The measuring sessions of an ablation after its first one, which its generation keeps: latency claims pair by them.

Each is a session like the first (reference, A/A control, refusals) in a file of its own, made before anything trains.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.generation import measure
from search.latency.session import LatencySession
from search.record import set_aside
from search.study import Ablation
from search.trial import TrialSpec
from search.values import from_json, to_json

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringSession:
    """What RUN/latency/session-NN.json holds."""

    index: int
    session: LatencySession | None
    """None where every attempt was refused: that session is lost, and counted as such."""
    refused: tuple[str, ...] = ()
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {self.schema}; this session is of another version")


def session_path(run: Path, index: int) -> Path:
    """Where a session is kept; session 0 is in the first generation."""
    return run / "latency" / f"session-{index:02d}.json"


def measure_sessions(
    study: Ablation, specs: Mapping[str, TrialSpec], run: Path, device: str, say: Callable[[str], None]
) -> None:
    """Measure what is left of the sessions that a study declares; finished ones are never measured again.

    Args:
        specs: the planned trials by fingerprint.
        run: the run folder.
    """
    encoders = {fingerprint(spec.student) for spec in specs.values()}
    for index in range(1, study.latency_sessions):
        if _is_kept(run, index, encoders, say):
            continue
        say(f"measuring session {index + 1} of {study.latency_sessions}, nothing trains meanwhile")
        outcome = measure(study, specs, index, device, lambda done, total: None)
        for reason in outcome.refused:
            say(f"a measuring session was refused: {reason}")
        kept = MeasuringSession(index=index, session=outcome.session, refused=outcome.refused)
        write_whole(session_path(run, index), json.dumps(to_json(kept), allow_nan=False) + "\n")


def _is_kept(run: Path, index: int, encoders: set[str], say: Callable[[str], None]) -> bool:
    """Whether a session's file can be used; one that cannot is moved aside."""
    path = session_path(run, index)
    if not path.exists():
        return False
    try:
        found = from_json(MeasuringSession, read_json(path), place=path.name)
        session = found.session
        known = encoders
        if session is not None:
            known = {one.name for one in session.candidates} | {one.name for one in session.unmeasured}
        if found.index != index or known != encoders:
            raise ValueError(f"{path.name} must be of this study's encoders, got others")
    except ValueError as error:
        say(f"{error}; moved to {set_aside(run, path).relative_to(run)}, it is measured again")
        return False
    return True
