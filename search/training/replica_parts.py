"""What a stage of several replicas is computed from: their batches, what their teachers answer, and their losses.

A batch or an answer is tensors in a dict or tuple, stacked along a first dimension that counts the replicas.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from search.training.stages import TENSORS, Batch, Batches, Objective, Stage
from search.training.task_rows import TaskObjective
from search.training.teacher_outputs import Wanted, from_tensors, teach, to_tensors


class Parts(NamedTuple):
    """An objective of several replicas: `batch` is of all of them, the rest says what is done with one's."""

    updates: range
    """The numbers of the stage's updates."""
    batch: Callable[[int], Any]
    """Every replica's batch of an update, stacked."""
    answers: Callable[[int], Callable[[Any, Any], Any] | None]
    """What is asked at an update: a function of a teacher and its replica's batch; None asks nothing."""
    value: Callable[[int, Any, Any], Tensor]
    """The loss at a step of the stage, from batch and answers (empty where nothing was asked)."""
    prepare: Callable[[int], None] | None = None
    """Says before a step which parameters have gradients; None where all that is optimised has."""


def parts_of(stages: Sequence[Stage], batches: Sequence[Batches]) -> Parts:
    """The same stage of several replicas; the first lends its code to all.

    Args:
        batches: of the corpus, of every replica, on the CPU; a stage of a task reads none of them.
    """
    objectives = [stage.objective for stage in stages]
    on_tasks = [objective for objective in objectives if isinstance(objective, TaskObjective)]
    if on_tasks:
        return _of_task(on_tasks, stages[0].steps)
    assert isinstance(objectives[0], Objective)
    return _of_corpus(objectives[0], batches)


def _of_task(objectives: Sequence[TaskObjective], steps: int) -> Parts:
    """Rows are drawn for all from one copy of the task: replicas have the same data in another order."""
    first, seeds = objectives[0], [objective.rows.seed for objective in objectives]
    return Parts(
        range(steps),
        lambda step: first.rows.of_seeds(step, seeds),
        lambda step: first.answers,
        lambda step, batch, answers: first.value(batch, answers),
    )


def _of_corpus(objective: Objective, batches: Sequence[Batches]) -> Parts:
    def wanted(update: int) -> Wanted:
        return Wanted() if objective.wanted is None else objective.wanted(update)

    def answers(update: int) -> Callable[[Any, Any], Any] | None:
        asked = wanted(update)
        return None if asked == Wanted() else lambda teacher, own: to_tensors(teach(teacher, _one_batch(own), asked), 0)

    def value(step: int, own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
        taught = from_tensors(tensors, 0, wanted(objective.updates[step]))
        return objective.value(step, _one_batch(own), taught)

    def batch(update: int) -> dict[str, Tensor]:
        return stacked_batch([one.get(update, objective.batch_size) for one in batches])

    return Parts(objective.updates, batch, answers, value, objective.prepare)


def stacked_batch(batches: Sequence[Batch]) -> dict[str, Tensor]:
    """The fields of several batches, each (replicas, ...); masked positions are filled up to the largest number."""
    most = max(len(batch.masked_positions) for batch in batches)

    def filled(name: str, batch: Batch) -> Tensor:
        tensor: Tensor = getattr(batch, name)
        if name not in ("masked_positions", "masked_labels"):
            return tensor
        return nn.functional.pad(tensor, (0, most - len(tensor)))

    counts = torch.tensor([len(batch.masked_positions) for batch in batches])
    real = torch.arange(most) < counts.unsqueeze(1)
    return {name: torch.stack([filled(name, batch) for batch in batches]) for name in TENSORS} | {"masked_real": real}


def _one_batch(fields: Mapping[str, Tensor]) -> Batch:
    return Batch._make((*(fields[name] for name in TENSORS), 1.0, 1.0, fields["masked_real"]))
