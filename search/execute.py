"""Where trials run: joblib dispatches them, each in a supervised process of its own.

One process per trial, so that a killed, crashed or hung worker costs its trial a restart from its checkpoint and
nothing else. joblib's tasks are the supervisors, threads here; a cluster backend would run the same supervisors
elsewhere.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from joblib import Parallel, delayed

from search.predict import predict
from search.record import TrialRecord, read_record, write_record
from search.replica_group import Group
from search.training.acceleration import OFF, Acceleration
from search.trial import planned_updates
from search.worker import Job, Work, serve, static_measurements

MAX_DEATHS = 3
EXIT_SECONDS = 10.0
POLL_SECONDS = 0.2
SERVER_ENVIRONMENT = {
    "PYTHONSAFEPATH": "1",
    # oneDNN and torch keep what they compile for a shape, 1,024 shapes each. The number of tokens differs from update
    # to update, and a worker grew by 800 MB in 400 of them; with 64 it does not, and is no slower.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "LRU_CACHE_CAPACITY": "64",
}
"""Of the server that workers are forked from; what a user has set stays."""


class DiskFullError(Exception):
    """A worker could not write; the message names what and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Whom the driver tells what happens. Called from several threads."""

    say: Callable[[str], None] = lambda text: None
    """A line for people."""
    progress: Callable[[str, str, float], None] = lambda fingerprint, stage, seconds: None
    """A trial (by fingerprint) is in `stage` and has done work that was predicted to take so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run uses the machine. None of it changes a result on the CPU, but for what `acceleration` names, and
    `replicas`, which round differently."""

    workers: int = 1
    device: str = "cpu"
    checkpoint_seconds: float = 20.0
    hang_seconds: float = 300.0
    acceleration: Acceleration = OFF
    replicas: int = 1
    """How many seeds of an arm are trained as one computation."""

    def __post_init__(self) -> None:
        for name in ("workers", "replicas"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


def execute(
    jobs: Sequence[Job], *, workers: int, watcher: Watcher, hang_seconds: float = 300.0
) -> Iterator[TrialRecord]:
    """Run jobs in `workers` processes, one torch thread each, and yield records as they come.

    Args:
        hang_seconds: a worker that says nothing for so long is killed and its trial restarted.

    Raises:
        DiskFullError: a worker ran out of disk; the others are stopped, finished trials and checkpoints stay.
    """
    yield from _dispatch(_supervise, jobs, workers, watcher, hang_seconds)


def train_groups(groups: Sequence[Group], *, workers: int, watcher: Watcher, hang_seconds: float = 300.0) -> None:
    """Train groups of replicas, each in a process of its own; their trials' jobs go on from what it leaves them.

    A group that cannot be trained is given up, and said so: its trials are trained one at a time, from their start.

    Raises:
        DiskFullError: as in `execute`.
    """
    if groups:
        for _ in _dispatch(_supervise_group, groups, workers, watcher, hang_seconds):
            pass


def _dispatch(
    supervise: Callable[..., Any], works: Sequence[Any], workers: int, watcher: Watcher, hang_seconds: float
) -> Iterator[Any]:
    stop = threading.Event()
    context = _context()
    tasks = (delayed(supervise)(context, work, watcher, hang_seconds, stop) for work in works)
    results = Parallel(n_jobs=workers, backend="threading", return_as="generator_unordered")(tasks)
    try:
        for result in results:
            if isinstance(result, str):
                raise DiskFullError(result)
            if result is not None:
                yield result
    finally:
        stop.set()
        with contextlib.suppress(Exception):
            for _ in results:
                pass


def _context() -> Any:
    """Processes forked from a server that has imported torch once; a fresh interpreter where there is no fork.

    The server is started with PYTHONSAFEPATH: a user's folder with its own search/ must not shadow ours. It and its
    workers never see Ctrl-C, not even while they import: the driver decides. torch._dynamo is what the first optimizer
    of a process would import otherwise (two seconds a trial).
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["search.worker", "torch._dynamo"])
    added = {name: value for name, value in SERVER_ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    resource_tracker.ensure_running()  # where it starts it, the fork server would unblock Ctrl-C
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for name in added:
            del os.environ[name]
    return context


_start_lock = threading.Lock()


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    """Keep multiprocessing from running the user's script again in every worker: nothing of ours lives in
    `__main__`."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _supervise(
    context: Any, job: Job, watcher: Watcher, hang_seconds: float, stop: threading.Event
) -> TrialRecord | str | None:
    """Run one job until it is done. Returns its record, a text when the disk is full, None when stopped."""
    ended = _until_ended(context, job, watcher, hang_seconds, stop)
    if ended is None:
        return None
    kind, text, deaths = ended
    if kind == "disk":
        return text
    return read_record(job.record_path) if kind == "done" else _failed(job, text, deaths)


def _supervise_group(
    context: Any, group: Group, watcher: Watcher, hang_seconds: float, stop: threading.Event
) -> str | None:
    """Run one group until it is done. Returns a text when the disk is full."""
    ended = _until_ended(context, group, watcher, hang_seconds, stop)
    if ended is None or ended[0] == "done":
        return None
    if ended[0] == "disk":
        return ended[1]
    group.checkpoint_path.unlink(missing_ok=True)
    watcher.say(f"{group.label}: {ended[1]}; they are trained one at a time")
    return None


def _until_ended(
    context: Any, work: Work, watcher: Watcher, hang_seconds: float, stop: threading.Event
) -> tuple[str, str, int] | None:
    """Run a process, and again while it dies: ("done", status), ("disk", what) or ("error", what), and the deaths;
    None when stopped."""
    deaths = 0
    while not stop.is_set():
        message = _run_process(context, work, watcher, hang_seconds, stop, deaths)
        if message is None or (stop.is_set() and message[0] == "died"):
            return None
        kind, text = message
        if kind == "disk":
            stop.set()
        if kind != "died":
            return kind, text, deaths
        deaths += 1
        if deaths >= MAX_DEATHS:
            return "error", f"its worker died {deaths} times, the last time because it {text}", deaths
        watcher.say(f"{work.label}: its worker {text}; restarting it from its last checkpoint")
    return None


def _run_process(
    context: Any, job: Work, watcher: Watcher, hang_seconds: float, stop: threading.Event, deaths: int
) -> tuple[str, str] | None:
    """One process of a job. Returns its last message, ("died", how), or None when stopped."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(job, theirs, deaths), daemon=True)
    with _start_lock, _hidden_main():
        process.start()
    theirs.close()
    try:
        message = _listen(ours, process, job, watcher, hang_seconds, stop)
        if message is not None and message[0] == "done":
            process.join(EXIT_SECONDS)  # killed while it ends, it would leave semaphores, and a warning at our own end
        return message
    finally:
        process.kill()
        process.join()
        ours.close()


def _listen(
    channel: Connection, process: Any, job: Work, watcher: Watcher, hang_seconds: float, stop: threading.Event
) -> tuple[str, str] | None:
    seconds_per_update = predict(job.spec).train_seconds / planned_updates(job.spec)
    silent_seconds = 0.0  # counted while we listen, so that a driver that was stopped for a while blames nobody
    while not stop.is_set():
        if not channel.poll(POLL_SECONDS):
            silent_seconds += POLL_SECONDS
            if silent_seconds > hang_seconds:
                return "died", f"was silent for {hang_seconds:g} s and was killed"
            continue
        try:
            kind, *content = channel.recv()
        except (EOFError, OSError):
            process.join(5)
            return "died", f"ended with exit code {process.exitcode}"
        silent_seconds = 0.0
        if kind == "progress":
            for mark in job.members:
                watcher.progress(mark, content[0], content[1] * seconds_per_update)
        elif kind == "note":
            watcher.say(content[0])
        else:
            return kind, content[0]
    return None


def _failed(job: Job, reason: str, restarts: int) -> TrialRecord:
    """The record of a trial that cannot be run; it costs the study this trial, not the others."""
    record = TrialRecord(
        fingerprint=job.fingerprint,
        status="failed",
        reason=reason,
        role=job.role,
        spec=job.spec,
        measurements=(*job.measurements, *static_measurements(job.spec)),
        curves=(),
        provenance={"restarts": restarts},
        trials=job.proposals,
    )
    write_record(job.record_path, record)
    return record
