"""Trials that another run under the same root has finished: taken over, not trained again.

A trial is its spec: on one device the same spec gives the same weights in every study. What a run takes over is the
outcome and the weights; latency is the run's own, from its own session.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from search.record import TrialRecord, read_record
from search.worker import Home, Job


def finished_elsewhere(job: Job) -> TrialRecord | None:
    """The record of this trial in another run folder, or among the teachers; None where it must be trained.

    A record counts if it has an outcome (complete or diverged), was made by one process, without replicas, on the same
    kind of device with the same accelerations that change numbers, and its weights are there. Its provenance stays,
    with the place that it was taken from.
    """
    for path in _places(job.fingerprint, job.home):
        if path == job.record_path:
            continue
        try:
            record = read_record(path)
        except (FileNotFoundError, ValueError):
            continue  # its own run says what is wrong with it
        if _counts(job, record) and (record.status == "diverged" or _weights(job, path).exists()):
            return replace(
                record,
                role=job.role,
                measurements=tuple(one for one in record.measurements if "latency" not in one.metric),
                provenance=record.provenance | {"taken_from": path.relative_to(job.home.run.parent).as_posix()},
                trials=(),
            )
    return None


def take_over(job: Job) -> None:
    """Link the weights of what a job takes into its run folder, or copy them."""
    assert job.taken is not None
    source = _weights(job, job.home.run.parent / job.taken.provenance["taken_from"])
    if job.taken.status != "complete" or job.weights_path.exists():
        return
    job.weights_path.parent.mkdir(parents=True, exist_ok=True)
    partial = job.weights_path.with_name(f".{job.weights_path.name}.{os.getpid()}.tmp")
    try:
        os.link(source, partial)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, partial)
    partial.replace(job.weights_path)


def is_finished(mark: str, home: Home) -> bool:
    """Whether any run under a root has a trial file of this fingerprint, whatever it says."""
    return any(path.exists() for path in _places(mark, home))


def _places(mark: str, home: Home) -> Iterator[Path]:
    yield home.teachers / mark / "record.json"
    yield from sorted(home.run.parent.glob(f"*/trials/{mark}.json"))


def _weights(job: Job, record_path: Path) -> Path:
    if record_path.is_relative_to(job.home.teachers):
        return record_path.with_name("weights.safetensors")
    return record_path.parent.parent / "weights" / f"{job.fingerprint}.safetensors"


def _counts(job: Job, record: TrialRecord) -> bool:
    made = record.provenance
    return (
        record.status in ("complete", "diverged")
        and (made.get("device") == "cpu") == (job.device == "cpu")
        and tuple(made.get("acceleration", ())) == job.acceleration.named
        and not {"processes", "replicas"} & set(made)
    )
