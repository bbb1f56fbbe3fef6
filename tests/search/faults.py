"""Jobs that meet a fault inside their worker process: installed there when the job arrives, nowhere else."""

import dataclasses
import errno
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from search import files
from search.training import targets, train
from search.worker import Job

STAGE = "distillation"
STEP = 3
"""Where it happens: after some checkpoints, before the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyJob(Job):
    """A job that installs a fault of `FAULTS` where it is unpickled."""

    fault: str

    def __reduce__(self) -> Any:
        return arrive, ({field.name: getattr(self, field.name) for field in dataclasses.fields(Job)}, self.fault)


def arrive(fields: dict[str, Any], fault: str) -> Job:
    FAULTS[fault]()
    return Job(**fields)


def in_loss(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change the loss of one step."""
    original = train.run_stage

    def run_stage(stage: Any, *arguments: Any) -> None:
        def loss(step: int) -> torch.Tensor:
            value: torch.Tensor = stage.loss(step)
            return change(value) if (stage.name, step) == (STAGE, STEP) else value

        original(stage._replace(loss=loss), *arguments)

    train.run_stage = run_stage


def nan_loss() -> None:
    in_loss(lambda loss: loss * float("nan"))


def nan_gradient() -> None:
    def poison(loss: torch.Tensor) -> torch.Tensor:
        loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    in_loss(poison)


def nan_teacher() -> None:
    original = targets.teach

    def teach(teacher: Any, batch: Any, wanted: Any) -> Any:
        said = original(teacher, batch, wanted)
        if said.masked_language is None:
            return said
        return said._replace(masked_language=said.masked_language * float("nan"))

    targets.teach = teach


def out_of_memory() -> None:
    def ask_for_more(loss: torch.Tensor) -> torch.Tensor:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 2**26
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return loss + torch.ones(2**28).sum() * 0

    in_loss(ask_for_more)


def hung() -> None:
    def wait(loss: torch.Tensor) -> torch.Tensor:
        time.sleep(3600)
        return loss

    in_loss(wait)


def full_disk() -> None:
    """The fifth checkpoint finds room for half of it."""
    original, written = files._write_synced, 0

    def write(path: Any, data: bytes) -> None:
        nonlocal written
        written += path.parent.name == "checkpoints"
        if written < 5:
            return original(path, data)
        original(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    files._write_synced = write


FAULTS = {
    "nan loss": nan_loss,
    "nan gradient": nan_gradient,
    "nan teacher": nan_teacher,
    "out of memory": out_of_memory,
    "hung": hung,
    "full disk": full_disk,
}
