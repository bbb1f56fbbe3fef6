"""Teachers: trained once per fingerprint, kept in a folder that all studies share, checked before they are trusted."""

from collections.abc import Sequence
from typing import Any

from model_zoo.cost import cost
from search.execute import Options, Watcher, execute
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher
from search.record import Measurement, read_record, set_aside
from search.training.checkpoint import load_weights
from search.trial import TrialSpec
from search.values import to_json
from search.worker import Home, Job


def train_teachers(teachers: Sequence[TrialSpec], home: Home, options: Options, watcher: Watcher) -> None:
    """Train the teachers that no earlier run has trained, or whose files are damaged.

    Raises:
        ValueError: one cannot be had; no trial that needs it can run.
    """
    jobs = [job for job in (_job(spec, home, options) for spec in teachers) if not _is_whole(job, watcher)]
    if jobs:
        seeds = ", ".join(str(job.spec.seed) for job in jobs)
        watcher.say(f"training the teacher (seed {seeds}); it is kept for every study with its data and recipe")
    for record in execute(jobs, workers=options.workers, watcher=watcher, hang_seconds=options.hang_seconds):
        if record.status != "complete":
            _job(record.spec, home, options).record_path.unlink()
            raise ValueError(
                f"the teacher of seed {record.spec.seed} {record.status} ({record.reason}); no trial can run"
            )


def describe_teacher(teacher: TrialSpec | GivenTeacher, home: Home) -> dict[str, Any]:
    """What a report says of a teacher; of a given one its scores are not known, only what the config says."""
    if isinstance(teacher, GivenTeacher):
        total = cost(teacher.student)
        conditions = {"of": "encoder with embeddings, no heads"}
        size = Measurement(
            metric="parameters", value=float(total.parameters), unit="parameters", n=1, conditions=conditions
        )
        return {"fingerprint": fingerprint(teacher), "spec": to_json(teacher), "measurements": to_json((size,))}
    record = read_record(_job(teacher, home, Options()).record_path)
    return {
        "fingerprint": record.fingerprint,
        "spec": to_json(record.spec),
        "measurements": to_json(record.measurements),
    }


def _job(spec: TrialSpec, home: Home, options: Options) -> Job:
    return Job(
        spec=spec,
        role="teacher",
        home=home,
        device=options.device,
        checkpoint_seconds=options.checkpoint_seconds,
        acceleration=options.acceleration,
    )


def _is_whole(job: Job, watcher: Watcher) -> bool:
    """Whether the teacher's folder can be trusted; a damaged one is moved aside."""
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
    moved = set_aside(job.home.teachers, job.record_path)
    watcher.say(f"teacher {job.fingerprint}: {reason}; moved to {moved.parent.name}/, it is trained again")
    return False
