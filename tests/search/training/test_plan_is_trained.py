"""What the budget plans is what training runs: stage by stage, in updates, sequences, tokens and trained numbers."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch

from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.config import EncoderConfig
from model_zoo.embedding import Embedding
from model_zoo.encoder import Encoder
from model_zoo.networks import PreTrainingNetwork, TaskNetwork
from search.budget import Assumptions, stages_of
from search.fingerprint import fingerprint
from search.recipe import FineTuning, KnowledgeTransfer, Recipe
from search.study import Ablation
from search.training import train as training
from search.training.loop import Keeper
from search.training.students import num_outputs
from search.trial import TrialSpec
from studies.catalogue import MODULES, load_study


@pytest.fixture(scope="module")
def recipes() -> ModuleType:
    """The module that has every way of learning on the tiny trial."""
    place = importlib.util.spec_from_file_location("every_recipe", Path(__file__).with_name("test_every_recipe.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


class Ran(NamedTuple):
    """What one stage did."""

    name: str
    updates: int
    sequences: int
    tokens: int
    optimised: int
    network: int


def run(spec: TrialSpec, data: Any, weights: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Ran]:
    """Train a trial and watch what its student's networks read."""
    stages: list[Ran] = []
    original = training.run_stage

    def run_stage(stage: Any, position: Any, keeper: Any, others: Any) -> None:
        shapes: list[torch.Size] = []

        def see(module: Any, arguments: Any) -> None:
            shapes.append(arguments[0].shape)

        readers = [part for part in stage.network.modules() if isinstance(part, Embedding | BiLSTMTask)]
        hooks = [part.register_forward_pre_hook(see) for part in readers]
        original(stage, position, keeper, others)
        for hook in hooks:
            hook.remove()
        groups = stage.optimizer.param_groups
        stages.append(
            Ran(
                stage.name,
                position.step,
                sum(shape[0] for shape in shapes),
                sum(shape.numel() for shape in shapes),
                sum(parameter.numel() for group in groups for parameter in group["params"]),
                sum(parameter.numel() for parameter in stage.network.parameters()),
            )
        )

    monkeypatch.setattr(training, "run_stage", run_stage)
    outcome = training.train(spec, data, keeper=Keeper(path=path, seconds=1e9), teacher_weights=weights)
    assert outcome.status == "complete", outcome.reason
    return stages


def check(spec: TrialSpec, ran: list[Ran]) -> None:
    """Rows of tasks are cut to the longest of a batch, and a BiLSTM is counted for pairs: there the plan is the most
    that can be."""
    planned = stages_of(spec, Assumptions())
    assert [(one.name, one.steps) for one in planned] == [(one.name, one.updates) for one in ran]
    for plan, did in zip(planned, ran, strict=True):
        assert did.sequences == plan.steps * plan.batch_size, plan.name
        is_task = "/" in plan.name or plan.name == "multi-task"
        assert did.tokens <= plan.tokens if is_task else did.tokens == plan.tokens, plan.name
        if isinstance(spec.student, EncoderConfig):
            assert plan.memory.weights == 4 * did.network, plan.name
            assert plan.memory.moments == 8 * did.optimised, plan.name
            assert 0 < plan.memory.gradients <= 4 * did.optimised, plan.name


def test_every_way_of_learning_is_trained_as_planned(
    spec: TrialSpec, data: Any, teacher_weights: Any, recipes: ModuleType, tmp_path: Path
) -> None:
    for number, trial in enumerate(recipes.variants(spec).values()):
        with pytest.MonkeyPatch.context() as patch:
            check(trial, run(trial, data, teacher_weights, tmp_path / str(number), patch))


def shortened(spec: TrialSpec) -> TrialSpec:
    """The trial with as few updates and sequences as its stages allow."""
    recipe = spec.recipe
    return replace(spec, recipe=_recipe(recipe, getattr(spec.student, "num_layers", 1)))


def _recipe(recipe: Recipe, num_layers: int) -> Recipe:
    transfer, pre_training = recipe.knowledge_transfer, recipe.pre_training
    return replace(
        recipe,
        knowledge_transfer=None if transfer is None else replace(transfer, steps=num_layers, batch_size=2),
        pre_training=replace(pre_training, steps=min(1, pre_training.steps), batch_size=2),
        fine_tuning=_tuning(recipe.fine_tuning),
    )


def _tuning(recipe: FineTuning) -> FineTuning:
    distillation = recipe.distillation
    first: KnowledgeTransfer | None = None if distillation is None else distillation.intermediate
    if distillation is not None and first is not None:
        distillation = replace(distillation, intermediate=replace(first, steps=1, batch_size=2))
    return replace(recipe, steps=1, batch_size=2, distillation=distillation)


def random_weights(teacher: TrialSpec) -> dict[str, torch.Tensor]:
    """What the folder of a teacher holds, from networks that nobody trained."""
    torch.manual_seed(0)
    network = PreTrainingNetwork(teacher.encoder, pooler=teacher.recipe.pooler)
    found = {f"pretrained/{name}": tensor for name, tensor in network.state_dict().items()}
    for task in teacher.data.tasks:
        tuned = TaskNetwork(Encoder(teacher.encoder), num_outputs(task), pooler=teacher.recipe.pooler)
        found |= {f"tasks/{task.name}/{name}": tensor for name, tensor in tuned.state_dict().items()}
    return found


@pytest.mark.slow
def test_every_recipe_of_every_shipped_study_is_trained_as_planned(prepared: Any, data: Any, tmp_path: Path) -> None:
    """At smoke scale's sizes, with one update of every stage (of a phase, where it has phases); arms that differ in the
    shape of their student alone are trained once."""
    arms: dict[str, TrialSpec] = {}
    for name in MODULES:
        declared = load_study(name).declare("smoke", prepared[1])
        specs = [arm.spec for arm in declared.arms] if isinstance(declared, Ablation) else [declared.baseline]
        for spec in map(shortened, specs):
            depth = getattr(spec.student, "num_layers", 0)
            arms.setdefault(fingerprint({"recipe": spec.recipe, "depth": depth}), spec)
    assert len(arms) > 12
    for mark, spec in arms.items():
        weights = random_weights(spec.teacher) if isinstance(spec.teacher, TrialSpec) else None
        with pytest.MonkeyPatch.context() as patch:
            check(spec, run(spec, data, weights, tmp_path / mark, patch))
