"""Losses of a task's kinds: against labels, and against a teacher's fine-tuned network of the same task."""

import torch
from torch import Tensor
from torch.nn import functional

from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.networks import TaskNetwork, task_logits
from search.data.spec import TaskSpec
from search.distillation.logits import logit_regression_loss, soft_logits_loss
from search.distillation.patient import patient_loss
from search.distillation.tinybert import prediction_loss
from search.recipe import TaskDistillation
from search.training.teacher_network import TaskEnsemble

Inputs = tuple[Tensor, Tensor, Tensor]
"""Token ids, mask (True: real token) and token types."""


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


def distilled_loss(
    network: TaskNetwork | BiLSTMTask,
    teacher: TaskNetwork | TaskEnsemble,
    task: TaskSpec,
    recipe: TaskDistillation,
    inputs: Inputs,
    labels: Tensor,
) -> Tensor:
    """(1 - teacher_share) x labels + teacher_share x logits, and the patient states where the recipe has them."""
    if recipe.patient is None:
        with torch.no_grad():
            target = teacher(*inputs)
        return mixed_loss(task, recipe, network(*inputs), target, inputs[1], labels)
    assert isinstance(network, TaskNetwork) and isinstance(teacher, TaskNetwork)
    with torch.no_grad():
        teacher_maps = teacher.encoder(*inputs).feature_maps
        target = task_logits(teacher.head, teacher_maps[-1], inputs[1])
    maps = network.encoder(*inputs).feature_maps
    logits = task_logits(network.head, maps[-1], inputs[1])
    loss = mixed_loss(task, recipe, logits, target, inputs[1], labels)
    states = torch.stack([feature_map[:, 0] for feature_map in maps[:-1]])  # (layers, batch, width)
    matched = torch.stack([teacher_maps[block][:, 0] for block in recipe.patient.layer_map])
    return loss + recipe.patient.factor * patient_loss(states, matched)


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
        # A span's padding holds the same number in both networks and must not thin out the mean.
        return (
            logit_regression_loss(logits[mask], target[mask])
            if task.kind == "span"
            else logit_regression_loss(logits, target)
        )
    if task.kind == "span":
        logits, target = (part.transpose(1, 2).flatten(0, 1) for part in (logits, target))  # (batch * 2, seq)
    loss = soft_logits_loss if recipe.logits == "soft" else prediction_loss
    return loss(logits, target, recipe.temperature)
