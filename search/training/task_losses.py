"""Losses of a task's kinds: against labels, and against a teacher's fine-tuned network of the same task."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.networks import TaskNetwork, task_logits
from search.data.spec import TaskSpec
from search.distillation.logits import logit_regression_loss, soft_logits_loss
from search.distillation.patient import patient_loss
from search.distillation.tinybert import prediction_loss
from search.recipe import TaskDistillation
from search.training.task_rows import TaskBatch


def task_loss(task: TaskSpec, logits: Tensor, labels: Tensor) -> Tensor:
    """The training loss of a task's kind."""
    if task.kind == "regression":
        return functional.mse_loss(logits[:, 0], labels)
    if task.kind == "span":
        start, end = logits.unbind(-1)
        limit = logits.shape[1] - 1
        ends = functional.cross_entropy(end, labels[:, 1].clamp(max=limit))
        return (functional.cross_entropy(start, labels[:, 0].clamp(max=limit)) + ends) / 2
    return functional.cross_entropy(logits, labels)


class Answers(NamedTuple):
    """What a student copies of its teacher on one batch."""

    logits: Tensor
    states: Tensor | tuple[()] = ()
    """The first token's state in the matched blocks, (layers, batch, width); empty without patient states."""


def teacher_answers(teacher: nn.Module, recipe: TaskDistillation, batch: TaskBatch) -> Answers:
    """The teacher's part of a distilled loss."""
    if recipe.patient is None:
        return Answers(teacher(*batch.inputs))
    assert isinstance(teacher, TaskNetwork)
    maps = teacher.encoder(*batch.inputs).feature_maps
    states = torch.stack([maps[block][:, 0] for block in recipe.patient.layer_map])
    return Answers(task_logits(teacher.head, maps[-1], batch.mask), states)


def tuning_loss(
    network: TaskNetwork | BiLSTMTask,
    task: TaskSpec,
    recipe: TaskDistillation | None,
    batch: TaskBatch,
    answers: Answers | None,
) -> Tensor:
    """Labels alone, or (1 - teacher_share) x labels + teacher_share x logits, and patient states where asked for.

    Args:
        answers: of the teacher; needed where the recipe distils.
    """
    if recipe is None:
        return task_loss(task, network(*batch.inputs), batch.labels)
    assert answers is not None
    if recipe.patient is None:
        return mixed_loss(task, recipe, network(*batch.inputs), answers.logits, batch.mask, batch.labels)
    assert isinstance(network, TaskNetwork) and isinstance(answers.states, Tensor)
    maps = network.encoder(*batch.inputs).feature_maps
    logits = task_logits(network.head, maps[-1], batch.mask)
    loss = mixed_loss(task, recipe, logits, answers.logits, batch.mask, batch.labels)
    states = torch.stack([feature_map[:, 0] for feature_map in maps[:-1]])  # (layers, batch, width)
    return loss + recipe.patient.factor * patient_loss(states, answers.states)


def mixed_loss(
    task: TaskSpec, recipe: TaskDistillation, logits: Tensor, target: Tensor, mask: Tensor, labels: Tensor
) -> Tensor:
    """Labels and the teacher's logits, mixed; a share of 1 leaves the labels out altogether.

    TinyBERT's prediction loss keeps a regression to its labels.
    """
    if task.kind == "regression" and recipe.logits == "prediction":
        return task_loss(task, logits, labels)
    copied = _logits_loss(task, recipe, logits, target, mask)
    if recipe.teacher_share == 1.0:
        return copied
    return (1.0 - recipe.teacher_share) * task_loss(task, logits, labels) + recipe.teacher_share * copied


def _logits_loss(task: TaskSpec, recipe: TaskDistillation, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """The teacher's term. A span's start and end are two distributions over the real tokens."""
    if task.kind == "regression":
        return logit_regression_loss(logits, target)
    if recipe.logits == "squared_error":
        return (
            _span_regression_loss(logits, target, mask)
            if task.kind == "span"
            else logit_regression_loss(logits, target)
        )
    if task.kind != "span":
        loss = soft_logits_loss if recipe.logits == "soft" else prediction_loss
        return loss(logits, target, recipe.temperature)
    logits, target = (part.transpose(1, 2).flatten(0, 1) for part in (logits, target))  # (batch * 2, seq)
    if recipe.logits == "soft":
        return soft_logits_loss(logits, target, recipe.temperature)
    # The prediction loss is a mean over its classes: the positions up to the longest row, even where a batch is longer
    # because another replica's is.
    return prediction_loss(logits, target, recipe.temperature) * (mask.shape[1] / mask.sum(1).max())


def _span_regression_loss(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """The mean over real tokens: padding holds the same number in both networks and must not thin it out."""
    difference = torch.where(mask[:, :, None], logits - target.detach(), 0.0)
    return difference.square().sum() / (2 * mask.sum())
