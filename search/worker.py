"""What runs inside a worker process: one trial, from its checkpoint if there is one, to its trial file."""

import contextlib
import datetime
import errno
import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass, replace
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from model_zoo.own_source import place_of
from model_zoo.student import student_cost, student_scope
from search.allocator import keep_freed_memory
from search.data.prepare import open_data
from search.deployed_scores import deployed_scores, lacking
from search.files import write_whole
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher
from search.latency.case import Runtime
from search.latency.measure import peak_memory_bytes
from search.own_code import load_own_code
from search.provenance import provenance
from search.record import Measurement, Proposal, Role, TrialRecord, read_record, set_aside, write_record
from search.training.acceleration import OFF, Acceleration
from search.training.checkpoint import load_checkpoint, load_weights, save_weights
from search.training.loop import DivergedError, Keeper
from search.training.products import with_products
from search.training.train import train
from search.trial import TrialSpec

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Home(NamedTuple):
    """The folders of a run: its own, and the two that all runs under one root share."""

    run: Path
    data: Path
    teachers: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial to execute, with all that its trial file will say beside what training gives."""

    spec: TrialSpec
    role: Role
    home: Home
    device: str = "cpu"
    measurements: tuple[Measurement, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    checkpoint_seconds: float = 20.0
    acceleration: Acceleration = OFF
    score_runtimes: tuple[Runtime, ...] = ()
    """Deployed forms in which the student is scored too."""
    taken: TrialRecord | None = None
    """The outcome that another run has: only what it lacks is done, its weights are in place."""

    @property
    def fingerprint(self) -> str:
        """The trial's."""
        return fingerprint(self.spec)

    @property
    def members(self) -> tuple[str, ...]:
        """The trials that it works on."""
        return (self.fingerprint,)

    @property
    def label(self) -> str:
        """What people read."""
        return f"trial {self.fingerprint}"

    @property
    def record_path(self) -> Path:
        """The trial file; teachers have a folder of their own that all studies share."""
        if self.role == "teacher":
            return self.home.teachers / self.fingerprint / "record.json"
        return self.home.run / "trials" / f"{self.fingerprint}.json"

    @property
    def weights_path(self) -> Path:
        """Where the trained weights go."""
        if self.role == "teacher":
            return self.home.teachers / self.fingerprint / "weights.safetensors"
        return self.home.run / "weights" / f"{self.fingerprint}.safetensors"

    @property
    def checkpoint_path(self) -> Path:
        """Exists only while the trial runs."""
        if self.role == "teacher":
            return self.home.teachers / self.fingerprint / "checkpoint.safetensors"
        return self.home.run / "checkpoints" / f"{self.fingerprint}.safetensors"

    def run(self, channel: "connection.Connection", restarts: int) -> str:
        """What a worker does; the outcome's status."""
        return run_job(self, channel, restarts).status


class Work(Protocol):
    """What a worker process is given: a job, or several that are trained as one (`search/replica_group.py`)."""

    @property
    def spec(self) -> TrialSpec: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def members(self) -> tuple[str, ...]: ...
    @property
    def label(self) -> str: ...
    @property
    def home(self) -> Home: ...
    @property
    def device(self) -> str: ...
    @property
    def checkpoint_path(self) -> Path: ...

    def run(self, channel: "connection.Connection", restarts: int) -> str:
        """Do it all; returns a status."""
        ...


def serve(job: Work, channel: "connection.Connection", restarts: int) -> None:
    """Entry point of a worker process. Messages: ("progress", stage, updates), ("note", text), ("done", status),
    ("disk", text) when the disk is full, ("error", text) for anything else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    _die_with_parent()
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=job.device != "cpu")
    try:
        channel.send(("done", job.run(channel, restarts)))
    except OSError as error:
        channel.send(("disk" if error.errno in DISK_ERRORS else "error", f"{error.strerror}: {error.filename}"))
    except Exception as error:
        _keep_traceback(job)
        channel.send(("error", _named(error)))


def _named(error: Exception) -> str:
    """An unexpected error in one line, with its place in code of the user's own; lost memory by its usual name."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return f"its worker ran out of memory; run with fewer --workers or at a smaller scale ({text})"
    place = place_of(error)
    return text if place is None else f"{place}: {text}"


def _keep_traceback(job: Work) -> None:
    """Where an unexpected error came from, for whoever mends it; the trial file says it in one line."""
    with contextlib.suppress(OSError):  # a full disk must not hide the error itself
        write_whole(job.home.run / "failures" / f"{job.fingerprint}.txt", traceback.format_exc())


def run_job(job: Job, channel: "connection.Connection", restarts: int = 0) -> TrialRecord:
    """Train unless another run has, measure, and write weights and trial file; the checkpoint goes last."""
    if job.record_path.exists():
        return read_record(job.record_path)
    load_own_code(job.spec)
    record = job.taken or _trained(job, channel, restarts)
    record = replace(
        record,
        measurements=(*record.measurements, *job.measurements),
        trials=job.proposals,
    )
    if job.acceleration.ranks.rank > 0:
        return record
    record = _scored(job, record, channel)
    write_record(job.record_path, record)
    job.checkpoint_path.unlink(missing_ok=True)
    return record


def _trained(job: Job, channel: "connection.Connection", restarts: int) -> TrialRecord:
    """The outcome of the training, from its checkpoint if there is one; the weights are written."""
    started = _now()
    _drop_left_overs(job)
    drop_bad_checkpoint(job, channel)
    acceleration = with_products(job.acceleration, job.device)
    ranks = acceleration.ranks
    keeper = Keeper(
        path=job.checkpoint_path, seconds=job.checkpoint_seconds, tell=teller(channel), writes=ranks.rank == 0
    )
    outcome = train(
        job.spec,
        open_data(job.home.data, job.spec.data),
        keeper=keeper,
        teacher_weights=teacher_weights(job),
        ensemble_weights=ensemble_weights(job),
        device=job.device,
        acceleration=acceleration,
    )
    if outcome.weights and keeper.writes:
        save_weights(job.weights_path, outcome.weights)
    history = provenance(device=job.device, threads=torch.get_num_threads()) | {
        "started": started,
        "finished": _now(),
        "restarts": restarts,
    }
    if acceleration.products != "torch" and outcome.replicas == 1:
        history["products"] = acceleration.products
    if acceleration.named:
        history["acceleration"] = list(acceleration.named)
    if ranks.size > 1:
        history["processes"] = ranks.size
    if outcome.replicas > 1:
        history["replicas"] = outcome.replicas
    return TrialRecord(
        fingerprint=job.fingerprint,
        status="complete" if outcome.status == "complete" else "diverged",
        reason=outcome.reason,
        role=job.role,
        spec=job.spec,
        measurements=(*outcome.measurements, *static_measurements(job.spec), *_memory(outcome.replicas)),
        curves=outcome.curves,
        provenance=history,
    )


def _scored(job: Job, record: TrialRecord, channel: "connection.Connection") -> TrialRecord:
    """The record with scores of the deployed forms that it lacks; where there can be none, the reason."""
    wanted = lacking(record.measurements, job.score_runtimes)
    if not wanted or record.status != "complete":
        return record
    teller(channel)("scoring as deployed", 0)
    try:
        data = open_data(job.home.data, job.spec.data)
        found = deployed_scores(job.spec, load_weights(job.weights_path), data, wanted)
    except (ValueError, DivergedError) as error:  # not exported, or int8 that is not finite
        channel.send(("note", f"trial {job.fingerprint} has no score in {', '.join(wanted)}: {error}"))
        return replace(record, provenance=record.provenance | {"unscored": {one: str(error) for one in wanted}})
    return replace(record, measurements=(*record.measurements, *found))


def static_measurements(spec: TrialSpec) -> tuple[Measurement, ...]:
    """Parameters and FLOPs, exact by construction."""
    total, scope = student_cost(spec.student, spec.data.length), student_scope(spec.student)
    return (
        Measurement(
            metric="parameters", value=float(total.parameters), unit="parameters", n=1, conditions={"of": scope}
        ),
        Measurement(
            metric="flops",
            value=float(total.flops),
            unit="FLOPs",
            n=1,
            conditions={"of": scope, "batch": 1, "length": spec.data.length, "counted": "2 x multiply-adds, forward"},
        ),
    )


def _memory(replicas: int) -> tuple[Measurement, ...]:
    """The peak of this process; missing where another one trained a part of the trial, with its replicas."""
    peak = peak_memory_bytes()
    if peak is None or replicas > 1:
        return ()
    conditions: dict[str, Any] = {"of": "the whole training process"}
    return (Measurement(metric="peak_memory_bytes", value=float(peak), unit="B", n=1, conditions=conditions),)


def teacher_weights(job: Job) -> dict[str, Tensor] | None:
    """Weights of the teacher, where the trial has one."""
    return None if job.spec.teacher is None else _weights_of(job, job.spec.teacher)


def ensemble_weights(job: Job) -> list[dict[str, Tensor]]:
    """Weights of the trial's further teachers, in their order."""
    return [_weights_of(job, teacher) for teacher in job.spec.ensemble]


def _weights_of(job: Job, teacher: TrialSpec | GivenTeacher) -> dict[str, Tensor]:
    return load_weights(job.home.teachers / fingerprint(teacher) / "weights.safetensors")


def _drop_left_overs(job: Job) -> None:
    """Temporary files of a process of this trial that was killed. A teacher's folder may be another run's too."""
    if job.role == "teacher":
        return
    for path in (job.checkpoint_path, job.weights_path, job.record_path):
        for left_over in path.parent.glob(f".{path.name}.*.tmp"):
            left_over.unlink(missing_ok=True)


def drop_bad_checkpoint(job: Work, channel: "connection.Connection") -> None:
    """Set a checkpoint aside that is cut short or altered, and say so."""
    try:
        if job.checkpoint_path.exists():
            load_checkpoint(job.checkpoint_path)
    except ValueError as error:
        moved = set_aside(job.home.run, job.checkpoint_path)
        again = "the trial starts again" if len(job.members) == 1 else "its replicas start again"
        channel.send(("note", f"{error}; moved to {moved.parent.name}/{moved.name}, {again}"))


def teller(channel: "connection.Connection") -> Any:
    """Progress at most four times a second, and at the first step of every stage; each message also says that the
    worker is alive."""
    last, last_stage = 0.0, ""

    def tell(stage: str, updates: int) -> None:
        nonlocal last, last_stage
        if stage != last_stage or time.monotonic() - last > 0.25:
            last, last_stage = time.monotonic(), stage
            channel.send(("progress", stage, updates))

    return tell


def _die_with_parent() -> None:
    """End this process as soon as the driver is gone, however it went, so that no orphan writes into the run folder."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
