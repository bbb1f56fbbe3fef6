"""The rows of a task as training sees them: which are in an update's batch, how long it is, and their labels."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.seeds import stream_seed
from search.training.acceleration import ALONE, Ranks


class TaskBatch(NamedTuple):
    """Rows of a task on the device; labels as training sees them. Of several replicas every tensor has them first."""

    token_ids: Tensor
    mask: Tensor
    token_types: Tensor
    labels: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What an encoder takes."""
        return self.token_ids, self.mask, self.token_types


class TaskRows:
    """The train split of a task, from which every update takes a batch: a function of seed, task and step alone.

    A regression learns standardised labels, whatever their scale; rank and linear correlation do not see the
    difference.

    Args:
        seed: of the order of the rows.
        device: where batches are; the split goes there with the first one.
    """

    def __init__(
        self,
        task: TaskSpec,
        split: TaskSplit,
        batch_size: int,
        seed: int,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.task, self.split, self.batch_size, self.seed = task, split, batch_size, seed
        self.device, self.ranks = device, ranks
        self.lengths = np.asarray(split.mask).sum(1)

    def batch(self, step: int) -> TaskBatch:
        """The batch of a step (of a rank: its part), cut to its longest row."""
        rows = rows_of_step(len(self.split), self.batch_size, step, self.seed, self.task.name)
        size, rank = self.ranks.size, self.ranks.rank
        return self._take(rows[rank * self.batch_size // size : (rank + 1) * self.batch_size // size])

    def of_seeds(self, step: int, seeds: Sequence[int]) -> TaskBatch:
        """The batches of a step that several seeds would see alone, (seeds, batch, ...), all cut to the longest row of
        any; the padding that others have less of changes no real token, and no loss counts it."""
        rows = [rows_of_step(len(self.split), self.batch_size, step, seed, self.task.name) for seed in seeds]
        return self._take(np.stack(rows))

    def _take(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> TaskBatch:
        longest, chosen = int(self.lengths[rows].max()), torch.from_numpy(rows).to(self.device)
        token_ids, mask, token_types = (part[chosen][..., :longest] for part in self._on_device[:3])
        return TaskBatch(token_ids, mask, token_types, self._on_device[3][chosen])

    @functools.cached_property
    def _on_device(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        token_ids, mask, token_types, labels = task_tensors(self.split, self.device)
        if self.task.kind == "regression":
            shift, scale = label_scale(self.task, self.split)
            labels = (labels - shift) / scale
        return token_ids, mask, token_types, labels


class TaskObjective(NamedTuple):
    """A loss on a task's rows in parts, so that replicas can compute each part as one."""

    rows: TaskRows
    value: Callable[[TaskBatch, Any], Tensor]
    """The loss of a batch, from the teacher's answers (None where no teacher is asked)."""
    teacher: nn.Module | None = None
    """Fine-tuned on the task; it does not change during the stage."""
    answers: Callable[[nn.Module, TaskBatch], Any] | None = None
    """What is read of the teacher, as tensors in tuples or dicts."""

    def loss(self, step: int) -> Tensor:
        """The loss of one seed alone at a step."""
        batch, answers = self.rows.batch(step), None
        if self.answers is not None:
            assert self.teacher is not None
            with torch.no_grad():  # before the student, whose maps need the room that a teacher's take in passing
                answers = self.answers(self.teacher, batch)
        return self.value(batch, answers)


def label_scale(task: TaskSpec, split: TaskSplit) -> tuple[float, float]:
    """Mean and standard deviation of a regression's labels; (0, 1) for other kinds and for constant labels."""
    if task.kind != "regression":
        return 0.0, 1.0
    return float(split.labels.mean()), float(split.labels.std()) or 1.0


def task_tensors(split: TaskSplit, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Token ids, mask (True: real token), token types and labels of a split."""
    parts = (split.token_ids, split.mask, split.token_types, split.labels)
    token_ids, mask, token_types, labels = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts)
    return token_ids, mask, token_types, labels


def rows_of_step(
    num_rows: int, batch_size: int, step: int, seed: int, task: str
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows of one batch: each epoch is a fresh permutation, batches run across epochs."""
    first = step * batch_size
    epochs = range(first // num_rows, (first + batch_size - 1) // num_rows + 1)
    orders = [np.random.default_rng(stream_seed(seed, "rows", task, epoch)).permutation(num_rows) for epoch in epochs]
    start = first - epochs[0] * num_rows
    return np.concatenate(orders)[start : start + batch_size]
