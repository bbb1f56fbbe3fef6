"""One generation of a run: what was proposed, and the latency session of its encoders, kept in one file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model_zoo.config import EncoderConfig
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.latency.session import LatencySession
from search.record import Measurement, Proposal, set_aside
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
    """None where every encoder had been measured before."""
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
) -> LatencySession | None:
    """Measure the latency of all encoders of `specs` (trials by fingerprint) in one interleaved session.

    Nothing else may run meanwhile. Encoders are told apart by their own fingerprint: latency is a property of (encoder,
    runtime, device, batch, length), not of weights, so arms and seeds with one encoder share its measurement.
    """
    encoders: dict[str, EncoderConfig] = {fingerprint(spec.student): spec.student for spec in specs.values()}
    if not encoders:
        return None
    from search.latency.measure import measure_latency

    return measure_latency(
        encoders,
        study.baseline.student,
        replace(study.latency, device=device),
        seed=index,
        rounds=study.latency_rounds,
        warmup=3,
        progress=progress,
    )


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
