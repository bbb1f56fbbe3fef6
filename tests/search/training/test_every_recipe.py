"""Every way of learning from a teacher trains, resumes bit for bit, and names what made it diverge."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from model_zoo.config import EncoderConfig
from model_zoo.networks import PreTrainingNetwork
from search.recipe import PatientStates, TaskDistillation, TripleLoss
from search.training import loop
from search.training.loop import Keeper
from search.training.students import task_network
from search.training.train import Outcome, train
from search.trial import TrialSpec, planned_updates
from search.values import from_json, to_json

NAMES = (
    "PKT, hard freeze",
    "PKT, nothing copied",
    "PKT, paper form",
    "PKT, no attention",
    "PKT, attention alone",
    "PKT, layer map",
    "PKT, projection",
    "JKT",
    "AKT",
    "AKT, projection",
    "DistilBERT",
    "TinyBERT",
    "PKD",
    "soft logits",
    "Tang",
    "multi-task",
    "multi-task distillation",
    "layer-wise rates and polynomial decay",
    "LAMB with bias correction",
)
"""Those of `variants`."""


@pytest.fixture(params=NAMES)
def trial(request: pytest.FixtureRequest, spec: TrialSpec) -> TrialSpec:
    """The tiny trial, taught in each of the ways."""
    found = variants(spec)
    assert tuple(found) == NAMES
    return found[request.param]


def variants(spec: TrialSpec) -> dict[str, TrialSpec]:
    """The tiny trial (4 updates of transfer, 5 of distillation, 3 for each of three tasks), taught in other ways."""
    assert spec.recipe.knowledge_transfer is not None and spec.teacher is not None
    narrow = replace(spec.student, hidden_size=12)
    shallow = replace(spec.student, num_layers=1)
    pre_training = spec.recipe.pre_training
    rate = pre_training.optimizer
    auxiliary = {"strategy": "auxiliary", "optimizer": rate}
    projected = {"projection": True, "copied": "nothing"}
    scores = tinybert_transfer(spec)
    triple = replace(pre_training, teacher_share=0.0, triple=TripleLoss())
    stages = TaskDistillation(
        teacher_share=1.0, logits="prediction", intermediate=replace(scores, steps=2, batch_size=10)
    )

    def tuned(teacher_share: float, **fields: Any) -> TrialSpec:
        return with_tuning(spec, distillation=TaskDistillation(teacher_share=teacher_share, **fields))

    return {
        "PKT, hard freeze": with_transfer(spec, freeze="hard"),
        "PKT, nothing copied": with_transfer(spec, copied="nothing"),
        "PKT, paper form": with_transfer(spec, feature_map_form="paper", attention_form="cross_entropy"),
        "PKT, no attention": with_transfer(spec, attention_factor=0.0),
        "PKT, attention alone": with_transfer(spec, feature_map_factor=0.0, mean_factor=0.0, variance_factor=0.0),
        "PKT, layer map": with_transfer(spec, student=shallow, layer_map=(1,)),
        "PKT, projection": with_transfer(spec, student=narrow, **projected),
        "JKT": with_transfer(spec, strategy="joint"),
        "AKT": with_transfer(spec, **auxiliary),
        "AKT, projection": with_transfer(spec, student=narrow, **auxiliary, **projected),
        "DistilBERT": replace(
            spec,
            student=replace(spec.teacher.student, num_layers=1),
            recipe=replace(spec.recipe, knowledge_transfer=None, pre_training=triple, copied_blocks=(1,)),
        ),
        "TinyBERT": replace(
            spec,
            student=narrow,
            recipe=replace(
                spec.recipe,
                knowledge_transfer=scores,
                pre_training=replace(pre_training, steps=0),
                fine_tuning=replace(spec.recipe.fine_tuning, distillation=stages),
            ),
        ),
        "PKD": tuned(0.7, temperature=10.0, patient=PatientStates(layer_map=(0,))),
        "soft logits": tuned(0.5, temperature=2.0),
        "Tang": tuned(1.0, logits="squared_error"),
        "multi-task": with_tuning(spec, multi_task=True),
        "multi-task distillation": with_tuning(spec, multi_task=True, distillation=TaskDistillation(teacher_share=0.5)),
        "layer-wise rates and polynomial decay": with_tuning(
            spec, optimizer=replace(spec.recipe.fine_tuning.optimizer, layer_decay=0.8, decay_power=2.0)
        ),
        "LAMB with bias correction": with_transfer(spec, optimizer=replace(rate, kind="lamb", bias_correction=True)),
    }


def tinybert_transfer(spec: TrialSpec) -> Any:
    """TinyBERT's general stage on the tiny trial."""
    assert spec.recipe.knowledge_transfer is not None
    return replace(
        spec.recipe.knowledge_transfer,
        strategy="joint",
        feature_map_form="paper",
        feature_map_factor=1.0,
        attention_form="scores",
        embedding_factor=1.0,
        projection=True,
        copied="nothing",
    )


def with_transfer(spec: TrialSpec, student: EncoderConfig | None = None, **fields: Any) -> TrialSpec:
    """The trial with fields of its knowledge transfer replaced, and its student if one is given."""
    assert spec.recipe.knowledge_transfer is not None
    transfer = replace(spec.recipe.knowledge_transfer, **fields)
    recipe = replace(spec.recipe, knowledge_transfer=transfer)
    return replace(spec, student=student or spec.student, recipe=recipe)


def with_tuning(spec: TrialSpec, **fields: Any) -> TrialSpec:
    """The trial with fields of its fine-tuning replaced."""
    return replace(spec, recipe=replace(spec.recipe, fine_tuning=replace(spec.recipe.fine_tuning, **fields)))


class Interrupted(Exception):
    """Stands for a killed process."""


def trained(trial: TrialSpec, data: Any, weights: Any, path: Path, *, seconds: float = 1e9, stop: int = -1) -> Outcome:
    """Train, killed after the update `stop`."""

    def tell(stage: str, updates: int) -> None:
        if updates == stop:
            raise Interrupted(stage)

    return train(trial, data, keeper=Keeper(path=path, seconds=seconds, tell=tell), teacher_weights=weights)


def numbers(outcome: Outcome) -> list[Any]:
    return [to_json(measurement) for measurement in outcome.measurements if measurement.metric != "train_seconds"]


def test_every_recipe_trains_as_planned_and_resumes_bit_for_bit_after_being_killed_mid_stage(
    trial: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    """Killed five times, in every kind of stage, with a checkpoint after every update."""
    told: list[int] = []
    keeper = Keeper(path=tmp_path / "whole", seconds=1e9, tell=lambda stage, updates: told.append(updates))
    whole = train(trial, data, keeper=keeper, teacher_weights=teacher_weights)
    assert whole.status == "complete", whole.reason
    assert told == list(range(1, planned_updates(trial) + 1))
    assert named_weights(whole) == named_parameters(trial)
    for stop in (2, 5, 7, 11, 14):
        with pytest.raises(Interrupted):
            trained(trial, data, teacher_weights, tmp_path / "parts", seconds=0.0, stop=stop)
    parts = trained(trial, data, teacher_weights, tmp_path / "parts", seconds=0.0)
    assert (parts.curves, numbers(parts)) == (whole.curves, numbers(whole))
    assert set(parts.weights) == set(whole.weights)
    for name, tensor in whole.weights.items():
        assert torch.equal(tensor, parts.weights[name]), name


def named_weights(outcome: Outcome) -> dict[str, set[str]]:
    """What a weights file holds: names by network."""
    found: dict[str, set[str]] = {}
    for name in outcome.weights:
        prefix, _, rest = name.partition("/") if name.startswith("pretrained/") else name.rpartition("/")
        found.setdefault(prefix, set()).add(rest)
    return found


def named_parameters(trial: TrialSpec) -> dict[str, set[str]]:
    """The same of freshly built networks: nothing that only training needed is kept."""
    network = PreTrainingNetwork(trial.student)
    named = {"pretrained": set(network.state_dict())}
    for task in trial.data.tasks:
        named[f"tasks/{task.name}"] = set(task_network(network, task, trial.recipe, 0).state_dict())
    return named


def test_every_recipe_survives_json(trial: TrialSpec) -> None:
    assert from_json(TrialSpec, to_json(trial)) == trial


def first_stage(trial: TrialSpec) -> str:
    transfer = trial.recipe.knowledge_transfer
    if transfer is None:
        return "distillation"
    return "auxiliary" if transfer.strategy == "auxiliary" else "transfer"


def poisoned(weights: dict[str, Any], prefix: str) -> dict[str, Any]:
    """NaN in the lowest block of one of the teacher's networks."""
    return {
        name: torch.full_like(tensor, float("nan"))
        if name.startswith(prefix) and "blocks.0.attention" in name and name.endswith("weight")
        else tensor
        for name, tensor in weights.items()
    }


def test_nan_from_the_teacher_is_a_named_divergence_at_the_first_step(
    trial: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    outcome = trained(trial, data, poisoned(teacher_weights, "pretrained/"), tmp_path / "a")
    assert outcome.status == "diverged" and outcome.weights == {}
    assert outcome.reason == f"the loss became nan in stage {first_stage(trial)} at step 0"


@pytest.mark.parametrize("name", ["PKD", "soft logits", "Tang", "TinyBERT", "multi-task distillation"])
def test_nan_from_the_teachers_task_network_is_a_named_divergence(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, name: str
) -> None:
    outcome = trained(variants(spec)[name], data, poisoned(teacher_weights, "tasks/"), tmp_path / "a")
    stage = {"TinyBERT": "intermediate/sentiment", "multi-task distillation": "multi-task"}.get(
        name, "fine-tuning/sentiment"
    )
    assert (outcome.status, outcome.reason) == ("diverged", f"the loss became nan in stage {stage} at step 0")


def test_nan_in_a_gradient_is_a_named_divergence(
    trial: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.clip

    def spoilt(gradients: list[torch.Tensor], limit: float) -> float:
        gradients[0].view(-1)[0] = float("nan")
        return real(gradients, limit)

    monkeypatch.setattr(loop, "clip", spoilt)
    outcome = trained(trial, data, teacher_weights, tmp_path / "a")
    assert outcome.status == "diverged"
    assert outcome.reason == f"the gradient norm became nan in stage {first_stage(trial)} at step 0"
    assert outcome.curves == ()


def test_task_distillation_needs_the_teachers_network_of_every_task(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    without = {name: tensor for name, tensor in teacher_weights.items() if not name.startswith("tasks/answering/")}
    message = (
        r"^task distillation needs the teacher's network of the task 'answering', got a teacher without; fine-tune"
    )
    with pytest.raises(ValueError, match=message):
        trained(variants(spec)["Tang"], data, without, tmp_path / "a")
