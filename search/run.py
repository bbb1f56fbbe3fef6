"""The driver: propose, measure latency while nothing trains, train, record; goes on from whatever it finds.

A Search and an Ablation differ in one step, who proposes. Work goes in generations: the proposals and their latency
session are written to RUN/latency/ before anything of that generation trains, so that a killed driver goes on with
the same ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from search.aim import aim_of, scored_runtimes
from search.arrange import arrange, drop_outputs_of, dropping
from search.bring_teacher import check_kept
from search.execute import Options, Watcher, execute, train_groups
from search.fingerprint import fingerprint
from search.generation import (
    Generation,
    by_generation,
    latency_measurements,
    measure,
    read_generations,
    with_measured_latency,
    write_front_session,
    write_generation,
)
from search.given_teacher import GivenTeacher
from search.hold_race import hold_race, with_known_rates
from search.latency.session import Outcome
from search.measuring_sessions import measure_sessions
from search.own_code import check_own_code, planned_specs
from search.race import contenders
from search.record import (
    Measurement,
    Proposal,
    Role,
    TrialRecord,
    read_records,
    with_proposals,
    write_record,
)
from search.replica_group import planned_groups
from search.run_folder import open_run, study_document, update_study
from search.shared_trials import finished_elsewhere, take_over
from search.storage import Proposed, database_errors, front, open_study, planned_proposals, propose, tell
from search.study import Ablation, Search, at_seed, check_search, configuration, plan, seeds_of_look
from search.teachers import describe_teacher, train_teachers
from search.trial import TrialSpec, given_teachers_of, teachers_of
from search.worker import Home, Job


class RunSummary(NamedTuple):
    """What a run folder holds when the driver is done."""

    records: dict[str, TrialRecord]
    problems: tuple[str, ...]
    """Corrupted files that were moved aside, one line each."""


def run_study(
    study: Search | Ablation,
    home: Home,
    options: Options,
    about: Mapping[str, Any],
    watcher: Watcher,
    looks: int = 1,
) -> RunSummary:
    """Run a study to its end, or go on where an earlier run of it stopped. No finished trial is run again.

    Args:
        home: the run folder and the folders shared by all runs; the data must have been prepared in `home.data`.
        about: what else study.json is to say (command, data report, majority classes).
        looks: of an ablation that declares looks, how many of them to train for.

    Raises:
        ValueError: the folder belongs to another run or is in use, the teacher cannot be trained, or no
            candidate of the study's race can.
        DiskFullError: nothing finished is lost; the same command goes on.
    """
    if isinstance(study, Search):
        check_search(replace(study, latency=study.latency.on(options.device)))
    else:
        plan(study)
        contenders(study)
        study = with_known_rates(study, home.run)
    check_own_code(planned_specs(study))
    with open_run(home.run, study_document(study, about)):
        if isinstance(study, Ablation) and study.race is not None:
            study = hold_race(study, home, options, watcher)
            update_study(home.run, **study_document(study, about))
        found = read_records(home.run, quarantine=True)
        for problem in found.problems:
            watcher.say(problem)
        driver = _Driver(study, home, options, watcher, found.records, looks)
        driver.run()
        return RunSummary(driver.records, found.problems)


class _Driver:
    """One run in progress. Private: `run_study` is the interface."""

    def __init__(
        self,
        study: Search | Ablation,
        home: Home,
        options: Options,
        watcher: Watcher,
        records: dict[str, TrialRecord],
        looks: int,
    ) -> None:
        self.study, self.home, self.options, self.watcher = study, home, options, watcher
        self.aim = aim_of(study)
        self.records, self.looks = records, looks
        self.generations: list[Generation] = []
        planned = plan(study) if isinstance(study, Ablation) else ()
        self.by_arm = {(one.arm, one.seed): one.spec for one in planned}

    def run(self) -> None:
        """Everything that is left to do."""
        specs = self._specs_of_looks() or [self.study.baseline]
        teachers, given = teachers_of(specs), given_teachers_of(specs)
        for teacher in given:
            check_kept(teacher, self.home.teachers)
        train_teachers(teachers, self.home, self.options, self.watcher)
        first: list[TrialSpec | GivenTeacher] = [*teachers, *given]
        if first:
            update_study(self.home.run, teacher=describe_teacher(first[0], self.home))
        self._retry_failed()
        self.generations = read_generations(self.home.run, self.watcher.say, self._check)
        self._forget_lost_proposals()
        for generation in self.generations:
            self._measure_again()
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
                self._measure_again()
                self._train(generation)
                for proposal, record in self._told([generation]):
                    tell(optuna_study, proposal, record, self.aim)
            if isinstance(self.study, Search) and self.study.confirmation_seeds:
                self._confirm(self.study, front(optuna_study))
            if isinstance(self.study, Search) and (self.study.profile or self.study.max_latency_ms):
                self._measure_front(self.study, front(optuna_study))
        drop_outputs_of([*teachers, *given], self.home)

    def _specs_of_looks(self) -> list[TrialSpec]:
        """What an ablation trains up to the look that was asked for; nothing of a search."""
        if isinstance(self.study, Search):
            return []
        seeds = {seed for look in range(self.looks) for seed in seeds_of_look(self.study, look)}
        return [spec for (_, seed), spec in self.by_arm.items() if seed in seeds]

    def _open_study(self) -> Any:
        return open_study(self.home.run / "optuna.db", self.study.name, self._told(self.generations), self.aim)

    def _check(self, generation: Generation) -> None:
        """Raises ValueError for a generation whose parameters and fingerprints are not of this study."""
        marks = [fingerprint(self._spec(proposal)) for proposal in generation.proposals]
        whole = isinstance(self.study, Search) or (
            generation.index < max(1, len(self.study.looks))
            and len(marks) == len(planned_proposals(self.study, generation.index))
        )
        if tuple(marks) != generation.fingerprints or not whole:
            raise ValueError(f"generation {generation.index} must name the trials that the study makes, got others")

    def _forget_lost_proposals(self) -> None:
        """Where a generation was lost, its finished trials stay, and are asked for again under what numbers come."""
        for mark, record in self.records.items():
            kept = tuple(proposal for proposal in record.trials if proposal.generation < len(self.generations))
            if kept != record.trials:
                self.records[mark] = replace(record, trials=kept)
                write_record(self._job(record.spec, record.role).record_path, self.records[mark])

    def _retry_failed(self) -> None:
        """A trial that could not be run (its worker died, say) has no outcome: every run tries it again."""
        for mark, record in list(self.records.items()):
            if record.status == "failed":
                self.watcher.say(f"trial {mark} failed before ({record.reason}); it is tried again")
                self._job(record.spec, record.role).record_path.unlink()
                del self.records[mark]

    def _tried(self) -> set[str]:
        return {mark for generation in self.generations for mark in generation.fingerprints}

    def _wanted(self) -> int:
        if isinstance(self.study, Ablation):
            index = len(self.generations)
            return len(planned_proposals(self.study, index)) if index < self.looks else 0
        return self.study.num_trials - len(self._tried())

    def _propose(self, optuna_study: Any, index: int, wanted: int) -> list[Proposed]:
        if isinstance(self.study, Ablation):
            return planned_proposals(self.study, index)
        size = self.study.generation_size if index else max(self.study.generation_size, len(self.study.first))
        return propose(optuna_study, self.study, index, min(size, wanted), self._tried())

    def _begin(self, index: int, proposed: Sequence[Proposed]) -> Generation:
        """Measure the latency of what is new, and write the generation down."""
        new = {
            fingerprint(one.spec): one.spec
            for one in proposed
            if by_generation(self.generations, fingerprint(one.spec.student)) is None
        }
        outcome = self._measure(new, index)
        generation = Generation(
            index=index,
            proposals=tuple(one.proposal for one in proposed),
            fingerprints=tuple(fingerprint(one.spec) for one in proposed),
            session=outcome.session,
            refused=outcome.refused,
        )
        write_generation(self.home.run, generation)
        self.generations.append(generation)
        return generation

    def _measure(self, new: Mapping[str, TrialSpec], index: int) -> Outcome:
        """The latency session of new encoders; none where a device profile predicts it."""
        if isinstance(self.study, Search) and self.study.profile is not None:
            return Outcome(None, ())
        count = len({fingerprint(spec.student) for spec in new.values()})
        if not count:
            return Outcome(None, ())
        self.watcher.say(f"generation {index}: measuring the latency of {count} encoders, nothing trains meanwhile")
        outcome = measure(self.study, new, index, self.options.device, self._latency_progress)
        self._say_latency(outcome)
        return outcome

    def _measure_again(self) -> None:
        """The further measuring sessions that an ablation declares."""
        if isinstance(self.study, Ablation):
            specs = {fingerprint(spec): spec for spec in self.by_arm.values()}
            measure_sessions(self.study, specs, self.home.run, self.options.device, self.watcher.say)

    def _say_latency(self, outcome: Outcome) -> None:
        for reason in outcome.refused:
            self.watcher.say(f"a latency session was refused: {reason}")
        if outcome.refused and outcome.session is None:
            self.watcher.say("no latency session was good enough; this generation's trials have no latency")
        for one in outcome.session.unmeasured if outcome.session else ():
            self.watcher.say(f"no latency for encoder {one.name}: {one.reason}")

    def _latency_progress(self, done: int, total: int) -> None:
        self.watcher.progress("latency", f"round {done} of {total}", 0.0)

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
        for record in self._execute(self._with_finished(jobs)):
            self.records[record.fingerprint] = record
        for mark, proposals in asked.items():
            record = with_proposals(self.records[mark], proposals)
            if record != self.records[mark]:
                write_record(self._job(record.spec, role).record_path, record)
                self.records[mark] = record

    def _with_finished(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs of an ablation, with the outcomes that other runs under this root already have."""
        if isinstance(self.study, Search):
            return list(jobs)
        found = [replace(job, taken=finished_elsewhere(job)) for job in jobs]
        taken = [job for job in found if job.taken is not None]
        for job in taken:
            take_over(job)
        if taken:
            self.watcher.say(f"{len(taken)} of {len(jobs)} trials were trained by other runs here and are taken over")
        return found

    def _spec(self, proposal: Proposal) -> TrialSpec:
        if isinstance(self.study, Search):
            return configuration(self.study, proposal.params)
        place = (proposal.params.get("arm"), proposal.params.get("seed"))
        if place not in self.by_arm:
            raise ValueError(f"an arm and seed must be of the plan, got {place[0]!r} and {place[1]!r}")
        return self.by_arm[place]

    def _latency(self, spec: TrialSpec) -> tuple[Measurement, ...]:
        if isinstance(self.study, Search) and self.study.profile is not None:
            from search.latency.predictor import predicted_measurements

            return predicted_measurements(self.study.profile, spec.encoder)
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
        train_teachers(teachers_of(missing), self.home, self.options, self.watcher)
        for record in self._execute([self._job(spec, "confirmation", self._latency(spec)) for spec in missing]):
            self.records[record.fingerprint] = record

    def _measure_front(self, study: Search, fingerprints: Sequence[str]) -> None:
        """Measure front and baseline in one session, and note it in their records.

        For real, where latency was predicted; anew, where there is a cap: what is just under it was chosen by the noise
        of its first session too.
        """
        known = {mark for mark, record in self.records.items() if record.value("measured_latency_ratio") is not None}
        marks = {*fingerprints, fingerprint(study.baseline)} & set(self.records)
        if marks <= known:
            return
        self.watcher.say(
            f"the latency of the {len(marks)} configurations that matter is measured for real, in one session"
        )
        specs = {mark: self.records[mark].spec for mark in sorted(marks)}
        outcome = measure(study, specs, len(self.generations), self.options.device, self._latency_progress)
        self._say_latency(outcome)
        if outcome.session is None:
            return
        write_front_session(self.home.run, outcome.session)
        for mark in specs:
            record = with_measured_latency(self.records[mark], outcome.session)
            write_record(self._job(record.spec, record.role).record_path, record)
            self.records[mark] = record

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
            acceleration=self.options.acceleration,
            score_runtimes=scored_runtimes(self.study),
        )

    def _execute(self, jobs: Sequence[Job]) -> Iterable[TrialRecord]:
        options = self.options
        searching = isinstance(self.study, Search) and any(job.role == "search" for job in jobs)
        jobs = arrange(jobs, workers=options.workers, search=searching)
        groups = planned_groups(jobs, options.replicas, self.watcher.say)
        train_groups(groups, workers=options.workers, watcher=self.watcher, hang_seconds=options.hang_seconds)
        records = execute(jobs, workers=options.workers, watcher=self.watcher, hang_seconds=options.hang_seconds)
        return records if searching else dropping(jobs, records)
