"""The stages that a recipe asks for, in order, as values; knows nothing of networks."""

from dataclasses import dataclass
from typing import Literal

from search.data.spec import TaskSpec
from search.trial import TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One stage to come."""

    kind: Literal["transfer", "auxiliary", "pre-training", "intermediate", "fine-tuning", "multi-task"]
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
    recipe, stages = spec.recipe, list[PlannedStage]()
    transfer = recipe.knowledge_transfer
    if transfer is not None and transfer.strategy == "auxiliary":
        stages.append(PlannedStage(kind="auxiliary"))
    else:
        stages += [PlannedStage(kind="transfer")] if transfer is not None else []
        stages += [PlannedStage(kind="pre-training")] if recipe.pre_training.steps else []
    if recipe.fine_tuning.multi_task:
        # Not without tasks: a teacher on a corpus alone has none.
        return (*stages, PlannedStage(kind="multi-task", tasks=spec.data.tasks)) if spec.data.tasks else tuple(stages)
    distillation = recipe.fine_tuning.distillation
    for task in spec.data.tasks:
        if distillation is not None and distillation.intermediate is not None:
            stages.append(PlannedStage(kind="intermediate", tasks=(task,)))
        stages.append(PlannedStage(kind="fine-tuning", tasks=(task,)))
    return tuple(stages)
