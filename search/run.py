"""The driver: propose, measure latency while nothing trains, train, record; goes on from whatever it finds.

A Search and an Ablation differ in one step, who proposes. Work goes in generations: the proposals and their latency
session are written to RUN/latency/ before anything of that generation trains, so that a killed driver goes on with
the same ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from search.execute import Watcher, execute
from search.fingerprint import fingerprint
from search.generation import (
    Generation,
    by_generation,
    latency_measurements,
    measure,
    read_generations,
    write_generation,
)
from search.record import (
    Measurement,
    Proposal,
    Role,
    TrialRecord,
    read_record,
    read_records,
    set_aside,
    with_proposals,
    write_record,
)
from search.run_folder import open_run, study_document, update_study
from search.storage import Proposed, database_errors, front, open_study, planned_proposals, propose, tell
from search.study import Ablation, Search, at_seed, check_search, configuration, plan
from search.training.checkpoint import load_weights
from search.trial import TrialSpec
from search.values import to_json
from search.worker import Home, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run uses the machine. None of it changes a result on the CPU."""

    workers: int = 1
    device: str = "cpu"
    checkpoint_seconds: float = 20.0
    hang_seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")


class RunSummary(NamedTuple):
    """What a run folder holds when the driver is done."""

    records: dict[str, TrialRecord]
    problems: tuple[str, ...]
    """Corrupted files that were moved aside, one line each."""


def run_study(
    study: Search | Ablation, home: Home, options: Options, about: Mapping[str, Any], watcher: Watcher
) -> RunSummary:
    """Run a study to its end, or go on where an earlier run of it stopped. No finished trial is run again.

    Args:
        home: the run folder and the folders shared by all runs; the data must have been prepared in `home.data`.
        about: what else study.json is to say (command, data report, majority classes).

    Raises:
        ValueError: the folder belongs to another run or is in use, or the teacher cannot be trained.
        DiskFullError: nothing finished is lost; the same command goes on.
    """
    if isinstance(study, Search):
        check_search(study)
    else:
        plan(study)
    with open_run(home.run, study_document(study, about)):
        found = read_records(home.run, quarantine=True)
        for problem in found.problems:
            watcher.say(problem)
        driver = _Driver(study, home, options, watcher, found.records)
        driver.run()
        return RunSummary(driver.records, found.problems)


def teachers_of(specs: Iterable[TrialSpec]) -> list[TrialSpec]:
    """The distinct teachers of some trials."""
    teachers = [spec.teacher for spec in specs if spec.teacher is not None]
    return list({fingerprint(teacher): teacher for teacher in teachers}.values())


class _Driver:
    """One run in progress. Private: `run_study` is the interface."""

    def __init__(
        self,
        study: Search | Ablation,
        home: Home,
        options: Options,
        watcher: Watcher,
        records: dict[str, TrialRecord],
    ) -> None:
        self.study, self.home, self.options, self.watcher = study, home, options, watcher
        self.records = records
        self.generations: list[Generation] = []
        planned = plan(study) if isinstance(study, Ablation) else ()
        self.by_arm = {(one.arm, one.seed): one.spec for one in planned}

    def run(self) -> None:
        """Everything that is left to do."""
        specs = list(self.by_arm.values()) or [self.study.baseline]
        self._train_teachers(teachers_of(specs))
        self._note_teacher(teachers_of(specs))
        self.generations = read_generations(self.home.run, self.watcher.say, self._check)
        self._forget_lost_proposals()
        for generation in self.generations:
            self._train(generation)
        with database_errors(self.home.run / "optuna.db"):
            optuna_study = self._open_study()
            while (wanted := self._wanted()) > 0:
                index = len(self.generations)
                proposed = self._propose(optuna_study, index, wanted)
                if all(fingerprint(one.spec) in self._tried() for one in proposed):
                    self.watcher.say("every configuration of the space has been tried")
                    optuna_study = self._open_study()  # without what was only asked
                    break
                generation = self._begin(index, proposed)
                self._train(generation)
                for proposal, record in self._told([generation]):
                    tell(optuna_study, proposal, record)
            if isinstance(self.study, Search) and self.study.confirmation_seeds:
                self._confirm(self.study, front(optuna_study))

    def _open_study(self) -> Any:
        return open_study(self.home.run / "optuna.db", self.study.name, self._told(self.generations))

    def _check(self, generation: Generation) -> None:
        """Raises ValueError for a generation whose parameters and fingerprints are not of this study."""
        marks = [fingerprint(self._spec(proposal)) for proposal in generation.proposals]
        whole = isinstance(self.study, Search) or len(marks) == len(self.by_arm)
        if tuple(marks) != generation.fingerprints or not whole:
            raise ValueError(f"generation {generation.index} must name the trials that the study makes, got others")

    def _forget_lost_proposals(self) -> None:
        """Where a generation was lost, its finished trials stay, and are asked for again under what numbers come."""
        for mark, record in self.records.items():
            kept = tuple(proposal for proposal in record.trials if proposal.generation < len(self.generations))
            if kept != record.trials:
                self.records[mark] = replace(record, trials=kept)
                write_record(self._job(record.spec, record.role).record_path, self.records[mark])

    def _tried(self) -> set[str]:
        return {mark for generation in self.generations for mark in generation.fingerprints}

    def _wanted(self) -> int:
        if isinstance(self.study, Ablation):
            return 0 if self.generations else len(self.by_arm)
        return self.study.num_trials - len(self._tried())

    def _propose(self, optuna_study: Any, index: int, wanted: int) -> list[Proposed]:
        if isinstance(self.study, Ablation):
            return planned_proposals(self.study)
        size = self.study.generation_size if index else max(self.study.generation_size, len(self.study.first))
        return propose(optuna_study, self.study, index, min(size, wanted), self._tried())

    def _begin(self, index: int, proposed: Sequence[Proposed]) -> Generation:
        """Measure the latency of what is new, and write the generation down."""
        new = {
            fingerprint(one.spec): one.spec
            for one in proposed
            if by_generation(self.generations, fingerprint(one.spec.student)) is None
        }
        count = len({fingerprint(spec.student) for spec in new.values()})
        self.watcher.say(f"generation {index}: measuring the latency of {count} encoders, nothing trains meanwhile")
        session = measure(self.study, new, index, self.options.device, self._latency_progress)
        generation = Generation(
            index=index,
            proposals=tuple(one.proposal for one in proposed),
            fingerprints=tuple(fingerprint(one.spec) for one in proposed),
            session=session,
        )
        write_generation(self.home.run, generation)
        self.generations.append(generation)
        return generation

    def _latency_progress(self, done: int, total: int) -> None:
        self.watcher.progress("latency", f"round {done} of {total}", done)

    def _train(self, generation: Generation) -> None:
        """Train what has no record yet; note the duplicates in the records that exist."""
        pairs = [(self._spec(proposal), proposal) for proposal in generation.proposals]
        specs = {fingerprint(spec): spec for spec, _ in pairs}
        asked: dict[str, tuple[Proposal, ...]] = {}
        for spec, proposal in pairs:
            asked[fingerprint(spec)] = (*asked.get(fingerprint(spec), ()), proposal)
        role: Role = "search" if isinstance(self.study, Search) else "arm"
        missing = [mark for mark in specs if mark not in self.records]
        jobs = [self._job(specs[mark], role, self._latency(specs[mark]), asked[mark]) for mark in missing]
        for record in self._execute(jobs):
            self.records[record.fingerprint] = record
        for mark, proposals in asked.items():
            record = with_proposals(self.records[mark], proposals)
            if record != self.records[mark]:
                write_record(self._job(record.spec, role).record_path, record)
                self.records[mark] = record

    def _spec(self, proposal: Proposal) -> TrialSpec:
        if isinstance(self.study, Search):
            return configuration(self.study, proposal.params)
        place = (proposal.params.get("arm"), proposal.params.get("seed"))
        if place not in self.by_arm:
            raise ValueError(f"an arm and seed must be of the plan, got {place[0]!r} and {place[1]!r}")
        return self.by_arm[place]

    def _latency(self, spec: TrialSpec) -> tuple[Measurement, ...]:
        session = by_generation(self.generations, fingerprint(spec.student))
        return () if session is None else latency_measurements(session, spec)

    def _told(self, generations: Sequence[Generation]) -> list[tuple[Proposal, TrialRecord]]:
        return [
            (proposal, self.records[mark])
            for generation in generations
            for proposal, mark in zip(generation.proposals, generation.fingerprints, strict=True)
        ]

    def _confirm(self, study: Search, fingerprints: Sequence[str]) -> None:
        """Train the front and the baseline again with seeds that the search has not seen."""
        chosen = {mark: self.records[mark].spec for mark in fingerprints} | {
            fingerprint(study.baseline): study.baseline
        }
        specs = [at_seed(spec, seed) for seed in study.confirmation_seeds for spec in chosen.values()]
        missing = [spec for spec in specs if fingerprint(spec) not in self.records]
        if not missing:
            return
        self.watcher.say(f"the front is trained again with {len(study.confirmation_seeds)} fresh seeds")
        self._train_teachers(teachers_of(missing))
        for record in self._execute([self._job(spec, "confirmation", self._latency(spec)) for spec in missing]):
            self.records[record.fingerprint] = record

    def _train_teachers(self, teachers: Sequence[TrialSpec]) -> None:
        """Train the teachers that no earlier run has trained. Raises ValueError where one cannot be had."""
        jobs = [job for job in (self._job(spec, "teacher") for spec in teachers) if not self._has_teacher(job)]
        if jobs:
            seeds = ", ".join(str(job.spec.seed) for job in jobs)
            self.watcher.say(
                f"training the teacher (seed {seeds}); it is kept for every study with its data and recipe"
            )
        for record in self._execute(jobs):
            if record.status != "complete":
                self._job(record.spec, "teacher").record_path.unlink()
                raise ValueError(
                    f"the teacher of seed {record.spec.seed} {record.status} ({record.reason}); no trial can run"
                )

    def _has_teacher(self, job: Job) -> bool:
        """Whether the teacher's folder is whole; a damaged one is moved aside and trained again."""
        if not job.record_path.exists():
            return False
        try:
            read_record(job.record_path)
            load_weights(job.weights_path)
            return True
        except FileNotFoundError:
            reason = "its weights are missing"
        except ValueError as error:
            reason = str(error)
        moved = set_aside(self.home.teachers, job.record_path)
        self.watcher.say(f"teacher {job.fingerprint}: {reason}; moved to {moved.parent.name}/, it is trained again")
        return False

    def _note_teacher(self, teachers: Sequence[TrialSpec]) -> None:
        """Tell study.json what the first seed's teacher reached, for the report."""
        if not teachers:
            return
        record = read_record(self._job(teachers[0], "teacher").record_path)
        measurements = to_json(record.measurements)
        teacher = {"fingerprint": record.fingerprint, "spec": to_json(record.spec), "measurements": measurements}
        update_study(self.home.run, teacher=teacher)

    def _job(
        self,
        spec: TrialSpec,
        role: Role,
        measurements: tuple[Measurement, ...] = (),
        proposals: tuple[Proposal, ...] = (),
    ) -> Job:
        return Job(
            spec=spec,
            role=role,
            home=self.home,
            device=self.options.device,
            measurements=measurements,
            proposals=proposals,
            checkpoint_seconds=self.options.checkpoint_seconds,
        )

    def _execute(self, jobs: Sequence[Job]) -> Iterable[TrialRecord]:
        options = self.options
        return execute(jobs, workers=options.workers, watcher=self.watcher, hang_seconds=options.hang_seconds)
