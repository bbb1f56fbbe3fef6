"""Fine-tuning on one task as a stage, on labels alone or distilled from a teacher's fine-tuned network."""

from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.networks import TaskNetwork
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.recipe import FineTuning
from search.training.acceleration import ALONE, Ranks
from search.training.stages import Stage, groups_by_depth, make_optimizer, parameter_groups, scheduled_rates
from search.training.task_losses import teacher_answers, tuning_loss
from search.training.task_rows import TaskObjective, TaskRows
from search.training.teacher_network import TaskEnsemble


def fine_tuning_stage(
    network: TaskNetwork | BiLSTMTask,
    task: TaskSpec,
    split: TaskSplit,
    recipe: FineTuning,
    seed: int,
    teacher: TaskNetwork | TaskEnsemble | None = None,
    *,
    ranks: Ranks = ALONE,
) -> Stage:
    """One task: cross-entropy, squared error for a regression, start and end for a span; distilled where asked for.

    Args:
        teacher: fine-tuned on the same task; needed where the recipe distils.
    """
    if isinstance(network, BiLSTMTask):
        groups = parameter_groups(network.parameters(), recipe.optimizer)
    else:
        groups = groups_by_depth(network, network.encoder, recipe.optimizer)
    distillation, device = recipe.distillation, next(network.parameters()).device
    objective = TaskObjective(
        TaskRows(task, split, recipe.batch_size, seed, device, ranks),
        lambda batch, answers: tuning_loss(network, task, distillation, batch, answers),
        teacher,
        None if distillation is None else lambda asked, batch: teacher_answers(asked, distillation, batch),
    )
    optimizer, steps = make_optimizer(groups, recipe.optimizer), recipe.steps
    rates, clip_norm = scheduled_rates(recipe.optimizer, steps, groups), recipe.optimizer.clip_norm
    name = f"fine-tuning/{task.name}"
    return Stage(name, steps, network, optimizer, rates, objective.loss, True, clip_norm, objective=objective)
