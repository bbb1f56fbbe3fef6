"""A learning-rate race run in RUN/race/ by the driver's own means, and RUN/race.json, written once."""

import datetime
import json
from pathlib import Path

from search.bring_teacher import check_kept
from search.execute import Options, Watcher, execute
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.race import Contender, Finish, RaceResult, choose, contenders, raced
from search.record import TrialRecord, read_records, set_aside
from search.run_folder import update_study
from search.study import Ablation
from search.teachers import train_teachers
from search.trial import given_teachers_of, teachers_of
from search.values import from_json, to_json
from search.worker import Home, Job


def with_known_rates(study: Ablation, run: Path) -> Ablation:
    """The study with the rates of a race that an earlier run has finished, itself where there is none.

    Raises:
        ValueError: RUN/race.json is of a study that is declared otherwise.
    """
    if study.race is None:
        return study
    try:
        result = _read(run / "race.json")
    except ValueError:  # damaged: `hold_race` moves it aside and counts again
        return study
    return study if result is None else raced(study, _checked(study, result).rates)


def hold_race(study: Ablation, home: Home, options: Options, watcher: Watcher) -> Ablation:
    """Run what is left of the race, write RUN/race.json, and return the study with the rates that won.

    Raises:
        ValueError: no candidate of a norm type trains to its end, one could not be run, or race.json is of a study
            that is declared otherwise.
        DiskFullError: nothing finished is lost; the same command goes on.
    """
    path = home.run / "race.json"
    try:
        result = _read(path)
    except ValueError as error:
        moved = set_aside(home.run, path)
        watcher.say(f"{error}; moved to {moved.parent.name}/, the race is counted again from its trial files")
        result = None
    if result is None:
        result = _run(study, home, options, watcher)
        write_whole(path, json.dumps(to_json(result), indent=1, allow_nan=False) + "\n")
        chosen = ", ".join(f"{rate:g} for {norm}" for norm, rate in result.rates.items())
        watcher.say(f"the race chose the learning rate {chosen}")
    update_study(home.run, race=to_json(result))
    return raced(study, _checked(study, result).rates)


def _run(study: Ablation, home: Home, options: Options, watcher: Watcher) -> RaceResult:
    assert study.race is not None
    runners = contenders(study)
    specs = [runner.spec for runner in runners]
    for teacher in given_teachers_of(specs):
        check_kept(teacher, home.teachers)
    place = home._replace(run=home.run / "race")
    found = read_records(place.run, quarantine=True)
    for problem in found.problems:
        watcher.say(problem)
    records = {mark: record for mark, record in found.records.items() if record.status != "failed"}
    missing = [_job(runner, place, options) for runner in runners if fingerprint(runner.spec) not in records]
    if missing:
        watcher.say(f"a race of {len(study.race.candidates)} learning rates on seed {study.race.seed}")
        train_teachers(teachers_of(specs), home, options, watcher)
    for job in missing:
        job.record_path.unlink(missing_ok=True)  # of one that failed: it has no outcome and is tried again
    for record in execute(missing, workers=options.workers, watcher=watcher, hang_seconds=options.hang_seconds):
        records[record.fingerprint] = record
    finishes = {fingerprint(spec): _finish(records[fingerprint(spec)]) for spec in specs}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return RaceResult(seed=study.race.seed, races=choose(runners, finishes), finished=now)


def _job(runner: Contender, place: Home, options: Options) -> Job:
    return Job(
        spec=runner.spec,
        role="race",
        home=place,
        device=options.device,
        checkpoint_seconds=options.checkpoint_seconds,
        acceleration=options.acceleration,
    )


def _finish(record: TrialRecord) -> Finish:
    rate = record.spec.recipe.pre_training.optimizer.learning_rate
    if record.status == "failed":
        raise ValueError(
            f"every candidate of the race must be tried, got {rate:g} failed ({record.reason}); the same command tries "
            "it again"
        )
    accuracy = record.value("validation/accuracy")
    return Finish(fingerprint=record.fingerprint, rate=rate, status=record.status, accuracy=accuracy)


def _read(path: Path) -> RaceResult | None:
    return from_json(RaceResult, read_json(path), place=path.name) if path.exists() else None


def _checked(study: Ablation, result: RaceResult) -> RaceResult:
    asked = [fingerprint(runner.spec) for runner in contenders(study)]
    if asked != [one.fingerprint for race in result.races for one in race.candidates]:
        raise ValueError(
            f"race.json must hold the race of {study.name} as it is declared, got other candidates; choose another "
            "folder with --runs"
        )
    return result
