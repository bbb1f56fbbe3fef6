"""Which trials of a run are trained as one computation, and the work of a worker that does it.

A group leaves each of its trials an ordinary checkpoint, after the last stage that can be stacked; the trials' own jobs
go on from there. How seeds are grouped is no part of a trial.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from search.data.prepare import open_data
from search.record import set_aside
from search.run_folder import GROUP_PREFIX
from search.training.checkpoint import load_checkpoint
from search.training.loop import Keeper
from search.training.replica_fit import arm_mark, unfit, unfit_tasks
from search.training.replicas import Replica, other_members, train_replicas
from search.trial import TrialSpec
from search.worker import Home, Job, Work, drop_bad_checkpoint, ensemble_weights, teacher_weights, teller


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Trials that differ in their seed alone."""

    jobs: tuple[Job, ...]

    @property
    def spec(self) -> TrialSpec:
        """One of them, for what all have in common."""
        return self.jobs[0].spec

    @property
    def fingerprint(self) -> str:
        """Of the first trial."""
        return self.jobs[0].fingerprint

    @property
    def members(self) -> tuple[str, ...]:
        """Fingerprints of all."""
        return tuple(job.fingerprint for job in self.jobs)

    @property
    def home(self) -> Home:
        """The folders of the run."""
        return self.jobs[0].home

    @property
    def device(self) -> str:
        """Where it is trained."""
        return self.jobs[0].device

    @property
    def label(self) -> str:
        """What people read."""
        return f"replicas of seeds {', '.join(str(job.spec.seed) for job in self.jobs)} ({self.fingerprint})"

    @property
    def checkpoint_path(self) -> Path:
        """Exists only while the group trains."""
        return self.home.run / "checkpoints" / f"{GROUP_PREFIX}{self.fingerprint}.safetensors"

    def run(self, channel: Connection, restarts: int) -> str:
        """Train what can be stacked, inside a worker. The group's checkpoint goes when all trials have theirs."""
        first = self.jobs[0]
        works: list[Work] = [self, *self.jobs]
        for work in works:
            drop_bad_checkpoint(work, channel)
        keeper = Keeper(path=self.checkpoint_path, seconds=first.checkpoint_seconds, tell=teller(channel))
        train_replicas(
            [_replica(job) for job in self.jobs],
            open_data(self.home.data, self.spec.data),
            keeper=keeper,
            device=self.device,
            acceleration=first.acceleration,
        )
        self.checkpoint_path.unlink(missing_ok=True)
        return "complete"


def _replica(job: Job) -> Replica:
    return Replica(job.spec, teacher_weights(job), Keeper(path=job.checkpoint_path), ensemble_weights(job))


def planned_groups(jobs: Sequence[Job], replicas: int, say: Callable[[str], None]) -> list[Group]:
    """Groups of up to `replicas` seeds of the same arm, after those that an earlier run has begun.

    What cannot be trained so, has come further alone, or has an outcome already is in no group; `say` is told why.

    Raises:
        ValueError: a group was begun with other members.
    """
    begun = _begun(jobs, replicas, say) if jobs else []
    if replicas == 1:
        return begun
    reasons, arms = Counter[str](), dict[str, list[Job]]()
    known = {mark for group in begun for mark in group.members}
    for job in jobs:
        if job.taken is not None or job.fingerprint in known or job.checkpoint_path.exists():
            continue
        if reason := unfit(job.spec, job.acceleration):
            reasons[reason] += 1
        else:
            arms.setdefault(arm_mark(job.spec), []).append(job)
    for reason, count in reasons.items():
        say(f"{count} trials are trained one seed at a time: {reason}")
    parts = [same[place : place + replicas] for same in arms.values() for place in range(0, len(same), replicas)]
    groups = [*begun, *(Group(jobs=tuple(part)) for part in parts if len(part) > 1)]
    on_their_own = Counter[str]()
    for group in groups:
        on_their_own[unfit_tasks(group.spec)] += len(group.jobs)
    for reason, count in on_their_own.items():
        if reason:
            say(f"{count} trials are fine-tuned one seed at a time: {reason}")
    return groups


def _begun(jobs: Sequence[Job], replicas: int, say: Callable[[str], None]) -> list[Group]:
    """The groups whose checkpoints an earlier run has left, of trials among the jobs."""
    home, by_mark, found = jobs[0].home, {job.fingerprint: job for job in jobs}, []
    for path in sorted((home.run / "checkpoints").glob(f"{GROUP_PREFIX}*.safetensors")):
        try:
            state = load_checkpoint(path).state
        except ValueError as error:
            moved = set_aside(home.run, path)
            say(f"{error}; moved to {moved.parent.name}/{moved.name}, its replicas start again")
            continue
        members = [by_mark[mark] for mark in state["replicas"] if mark in by_mark]
        if not members:
            continue  # of trials that this run comes to later
        if len(state["replicas"]) != len(members):
            got = f"those of seeds {', '.join(str(job.spec.seed) for job in members)}"
            raise ValueError(other_members(path.name, state["seeds"], got))
        if len(members) > replicas:
            raise ValueError(other_members(path.name, state["seeds"], f"--replicas {replicas}"))
        found.append(Group(jobs=tuple(members)))
    return found
