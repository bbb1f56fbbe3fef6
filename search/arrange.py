"""How trials share the machine: which look ahead in a second thread, and which keep their teacher's outputs.

Neither changes a result. What pays was measured: `benchmarks/transfer_step.py`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher
from search.machine import cores
from search.record import TrialRecord
from search.training.teacher_outputs import drop_outputs
from search.trial import TrialSpec
from search.worker import Home, Job


def arrange(jobs: Sequence[Job], *, workers: int, search: bool) -> list[Job]:
    """The same jobs, each saying how it uses the machine.

    Outputs of a teacher are kept where several trials of the list need them, or where more are to come (a search).
    A worker looks ahead where it has a second core: fewer workers than half the cores.
    """
    shared = Counter(_teacher_mark(job.spec) for job in jobs)
    lookahead = 2 * workers <= cores()

    def arranged(job: Job) -> Job:
        mark = _teacher_mark(job.spec)
        keeps = mark is not None and job.device == "cpu" and (search or shared[mark] > 1)
        outputs = _folder(job.home, mark) if mark is not None and keeps else None
        ahead = lookahead and job.device == "cpu"
        return replace(job, acceleration=replace(job.acceleration, lookahead=ahead, outputs=outputs))

    return [arranged(job) for job in jobs]


def dropping(jobs: Sequence[Job], records: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """The records of jobs as they come; kept outputs go as soon as no job of the list needs them."""
    left = Counter(_teacher_mark(job.spec) for job in jobs)
    for record in records:
        mark = _teacher_mark(record.spec)
        left[mark] -= 1
        if mark is not None and left[mark] == 0:
            drop_outputs([_folder(jobs[0].home, mark)])
        yield record


def drop_outputs_of(teachers: Iterable[TrialSpec | GivenTeacher], home: Home) -> None:
    """Delete what was kept of some teachers' outputs."""
    drop_outputs([_folder(home, fingerprint(teacher)) for teacher in teachers])


def _teacher_mark(spec: TrialSpec) -> str | None:
    """Fingerprint of the teacher whose kept outputs a trial can use; None where it has no teacher, or asks it nothing
    that is kept (the triple loss, tasks)."""
    listens = spec.recipe.knowledge_transfer is not None or spec.recipe.pre_training.teacher_share > 0
    return fingerprint(spec.teacher) if spec.teacher is not None and listens else None


def _folder(home: Home, mark: str) -> Path:
    return home.teachers / mark / "outputs"
