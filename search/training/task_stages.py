"""The stages of tasks beside plain fine-tuning: TinyBERT's intermediate stage, and all tasks at once."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from model_zoo.encoder import EncoderOutput
from model_zoo.networks import MultiTaskNetwork, TaskNetwork
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.recipe import FineTuning, KnowledgeTransfer
from search.seeds import stream_seed
from search.training.acceleration import ALONE, Ranks
from search.training.block_losses import teaching
from search.training.stages import Projected, Stage, groups_by_depth, make_optimizer, scheduled_rates
from search.training.task_losses import mixed_loss, task_loss
from search.training.task_rows import TaskBatch, TaskObjective, TaskRows
from search.training.teacher_network import TaskEnsemble
from search.training.transfer import encoder_groups


def intermediate_stage(
    network: TaskNetwork,
    teacher: TaskNetwork,
    task: TaskSpec,
    split: TaskSplit,
    recipe: KnowledgeTransfer,
    seed: int,
    projection: nn.Linear | None = None,
) -> Stage:
    """The blocks copy those of the fine-tuned teacher on the task's rows; the head waits (TinyBERT, task stage 1)."""
    taught = teaching(recipe, network.encoder, projection)
    groups = encoder_groups(network.encoder, recipe, projection)
    rows = TaskRows(task, split, recipe.batch_size, seed, next(network.parameters()).device)

    def answers(asked: nn.Module, batch: TaskBatch) -> EncoderOutput:
        assert isinstance(asked, TaskNetwork)
        return taught.outputs(asked.encoder, batch.inputs, max(taught.layer_map) + 1)

    def value(batch: TaskBatch, target: EncoderOutput) -> Tensor:
        output = taught.outputs(network.encoder, batch.inputs, len(network.encoder.blocks))
        return taught.mean_loss(output, target, batch.mask)

    objective = TaskObjective(rows, value, teacher, answers)
    return Stage(
        f"intermediate/{task.name}",
        recipe.steps,
        network if projection is None else Projected(network, projection),
        make_optimizer(groups, recipe.optimizer),
        scheduled_rates(recipe.optimizer, recipe.steps, groups),
        objective.loss,
        False,
        recipe.optimizer.clip_norm,
        objective=objective,
    )


def multi_task_stage(
    network: MultiTaskNetwork,
    tasks: Sequence[TaskSpec],
    splits: Mapping[str, TaskSplit],
    recipe: FineTuning,
    seed: int,
    teachers: Sequence[TaskNetwork | TaskEnsemble] = (),
    *,
    ranks: Ranks = ALONE,
) -> Stage:
    """All tasks in one encoder, each update a batch of one of them (Liu et al. 2019, MT-DNN, Algorithm 1).

    Every task has as many updates as it would have alone; their order is drawn anew for every round. MT-DNN draws in
    proportion to the tasks' rows.

    Args:
        splits: train splits by task.
        teachers: one per task where the recipe distils.
    """
    groups = groups_by_depth(network, network.encoder, recipe.optimizer)
    device = next(network.parameters()).device
    rows = [TaskRows(task, splits[task.name], recipe.batch_size, seed, device, ranks) for task in tasks]
    steps = recipe.steps * len(tasks)

    def loss(step: int) -> Tensor:
        turn, place = divmod(step, len(tasks))
        chosen = turn_order(len(tasks), turn, seed)[place]
        batch = rows[chosen].batch(turn)
        if recipe.distillation is None:
            return task_loss(tasks[chosen], network(chosen, *batch.inputs), batch.labels)
        with torch.no_grad():  # before the student, whose maps need the room that a teacher's take in passing
            target = teachers[chosen](*batch.inputs)
        logits = network(chosen, *batch.inputs)
        return mixed_loss(tasks[chosen], recipe.distillation, logits, target, batch.mask, batch.labels)

    optimizer = make_optimizer(groups, recipe.optimizer)
    rates = scheduled_rates(recipe.optimizer, steps, groups)
    return Stage("multi-task", steps, network, optimizer, rates, loss, True, recipe.optimizer.clip_norm)


def turn_order(num_tasks: int, turn: int, seed: int) -> list[int]:
    """The order in which the tasks take their turn in one round.

    >>> sorted(turn_order(3, 5, seed=0))
    [0, 1, 2]
    """
    order: list[int] = np.random.default_rng(stream_seed(seed, "turns", turn)).permutation(num_tasks).tolist()
    return order
