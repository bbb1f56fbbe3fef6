"""The stages that a recipe asks for, in order, as values; knows nothing of networks.

Training runs them (`train.py`) and the budget costs them (`search/budget.py`), so that what is planned is what is
trained.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from search.data.spec import TaskSpec
from search.recipe import FineTuning, Recipe
from search.trial import TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One stage to come."""

    kind: Literal["transfer", "auxiliary", "pre-training", "intermediate", "fine-tuning", "multi-task"]
    name: str
    """As progress, curves and budgets call it."""
    updates: int
    batch_size: int
    tasks: tuple[TaskSpec, ...] = ()
    """The tasks whose networks it trains."""

    @property
    def stream(self) -> str:
        """The name of its stream of dropout."""
        if self.kind == "fine-tuning":
            return self.tasks[0].name
        return f"intermediate/{self.tasks[0].name}" if self.kind == "intermediate" else self.kind


def planned_stages(spec: TrialSpec) -> tuple[PlannedStage, ...]:
    """Knowledge transfer, pre-training and tasks of one training, as far as its recipe has them."""
    return (*_before_tasks(spec.recipe), *_of_tasks(spec.recipe.fine_tuning, spec.data.tasks))


def _before_tasks(recipe: Recipe) -> Iterator[PlannedStage]:
    transfer, pre_training = recipe.knowledge_transfer, recipe.pre_training
    if transfer is not None and transfer.strategy == "auxiliary":
        updates = recipe.student_updates
        yield PlannedStage(kind="auxiliary", name="auxiliary", updates=updates, batch_size=pre_training.batch_size)
        return
    if transfer is not None:
        yield PlannedStage(kind="transfer", name="transfer", updates=transfer.steps, batch_size=transfer.batch_size)
    if pre_training.steps:
        name = "distillation" if pre_training.distils else "pre-training"
        steps, batch_size = pre_training.steps, pre_training.batch_size
        yield PlannedStage(kind="pre-training", name=name, updates=steps, batch_size=batch_size)


def _of_tasks(recipe: FineTuning, tasks: tuple[TaskSpec, ...]) -> Iterator[PlannedStage]:
    if recipe.multi_task:
        if tasks:  # a teacher on a corpus alone has none
            updates = recipe.steps * len(tasks)
            yield PlannedStage(
                kind="multi-task", name="multi-task", updates=updates, batch_size=recipe.batch_size, tasks=tasks
            )
        return
    first = None if recipe.distillation is None else recipe.distillation.intermediate
    for task in tasks:
        if first is not None:
            name = f"intermediate/{task.name}"
            yield PlannedStage(
                kind="intermediate", name=name, updates=first.steps, batch_size=first.batch_size, tasks=(task,)
            )
        name = f"fine-tuning/{task.name}"
        yield PlannedStage(
            kind="fine-tuning", name=name, updates=recipe.steps, batch_size=recipe.batch_size, tasks=(task,)
        )
