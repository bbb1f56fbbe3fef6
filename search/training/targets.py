"""The batch of an update and what the teacher says about it, as one pure function of the update; how it is had is
`Acceleration`'s business."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model_zoo.networks import PreTrainingNetwork
from search.training.lookahead import ahead
from search.training.precision import autocast
from search.training.teacher_outputs import KeptOutputs, Taught, Wanted, teach, weights_digest

if TYPE_CHECKING:
    from search.training.stages import Batch, Batches, Objective

NOTHING = Taught({}, {}, None, None)


def targets(
    teacher: PreTrainingNetwork,
    batches: "Batches",
    batch_size: int,
    updates: range,
    wanted: Callable[[int], Wanted],
) -> "Callable[[int], tuple[Batch, Taught]]":
    """Batch and teacher outputs of each of a stage's updates; bit for bit the same, however they are had.

    Args:
        teacher: in evaluation mode; it does not change during the stage.
        batches: whose `acceleration` says what is kept and what is computed ahead.
        updates: the numbers of the stage's updates in the whole training.
        wanted: what the losses of an update compare.
    """
    acceleration = batches.acceleration
    kept = None
    if acceleration.outputs is not None:
        key = {
            "teacher": weights_digest(teacher.encoder),
            "head": weights_digest(teacher.masked_language),
            "data": data_digest(batches, batches.get(updates.start, batch_size)),
            "seed": batches.seed,
            "length": batches.length,
            "batch_size": batch_size,
            "device": batches.device.type,
            "threads": torch.get_num_threads(),
            "precision": acceleration.precision,
            "torch": torch.__version__,
        }
        if acceleration.products != "torch":
            key["products"] = acceleration.products
        if acceleration.compiled != "nothing":
            key["compiled"] = acceleration.compiled
        kept = KeptOutputs(acceleration.outputs, acceleration.outputs_bytes, key, updates, wanted)

    batch_of = batches.getter(batch_size, updates.stop)

    def target(update: int) -> "tuple[Batch, Taught]":
        batch, asked = batch_of(update), wanted(update)

        def compute() -> Taught:
            with autocast(acceleration.precision, batches.device):
                return teach(teacher, batch, asked)

        return batch, compute() if kept is None or asked.every_token else kept.at(update, compute)

    return ahead(target, updates.stop) if acceleration.lookahead else target


def objective_loss(
    objective: "Objective", teacher: PreTrainingNetwork | None, batches: "Batches"
) -> Callable[[int], Tensor]:
    """A stage's loss by its step: batch and teacher outputs are had, the objective says what they make."""
    updates, target_of = objective.updates, None
    batch_of = batches.getter(objective.batch_size, updates.stop)
    if objective.wanted is not None:
        assert teacher is not None
        target_of = targets(teacher, batches, objective.batch_size, updates, objective.wanted)

    def loss(step: int) -> Tensor:
        if objective.prepare is not None:
            objective.prepare(step)
        update = updates[step]
        batch, taught = (batch_of(update), NOTHING) if target_of is None else target_of(update)
        return objective.value(step, batch, taught)

    return loss


def data_digest(batches: "Batches", first: "Batch") -> str:
    """SHA-256 of the corpus and of one batch: other data, or another way to draw them, gives another one."""
    data = batches.data
    digest = hashlib.sha256()
    for array in (data.token_ids, data.segment_offsets, data.document_ends):
        digest.update(np.ascontiguousarray(array).tobytes())
    for tensor in first[:6]:
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
