"""Seeds of one trial, each alone and all as one computation, and how what they end with is compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from model_zoo.encoder import Encoder
from model_zoo.networks import PreTrainingNetwork, TaskNetwork
from search.study import at_seed
from search.training.loop import Keeper
from search.training.replicas import Replica, train_replicas
from search.training.students import num_outputs
from search.training.train import Outcome, train
from search.trial import TrialSpec

SEEDS = (7, 8, 9)


class Interrupted(Exception):
    """Stands for a killed process."""


def weights_of_teacher(spec: TrialSpec, seed: int) -> dict[str, Any]:
    """Random ones of the teacher, with a network of each of the trial's tasks."""
    teacher = spec.teacher
    assert isinstance(teacher, TrialSpec)
    torch.manual_seed(seed)
    pooler = teacher.recipe.pooler
    networks: dict[str, Any] = {"pretrained": PreTrainingNetwork(teacher.encoder, pooler=pooler)}
    for task in spec.data.tasks:
        networks[f"tasks/{task.name}"] = TaskNetwork(Encoder(teacher.encoder), num_outputs(task), pooler=pooler)
    return {
        f"{place}/{name}": tensor.detach()
        for place, network in networks.items()
        for name, tensor in network.state_dict().items()
    }


def group(spec: TrialSpec, folder: Path, seeds: Sequence[int] = SEEDS) -> list[Replica]:
    """A trial at several seeds, each with a teacher of its own."""
    folder.mkdir(exist_ok=True)
    return [
        Replica(
            at_seed(spec, seed),
            weights_of_teacher(spec, seed),
            Keeper(path=folder / str(seed), seconds=1e9),
            [weights_of_teacher(spec, seed + 100 * place) for place in range(1, 1 + len(spec.ensemble))],
        )
        for seed in seeds
    ]


def alone(replica: Replica, data: Any, folder: Path, **options: Any) -> Outcome:
    """The same seed from its start."""
    folder.mkdir(exist_ok=True)
    return end(replica._replace(keeper=Keeper(path=folder / f"{replica.spec.seed}", seconds=1e9)), data, **options)


def together(replicas: Sequence[Replica], data: Any, path: Path, **options: Any) -> list[Outcome]:
    """All of them as one computation, then each from what the group left it."""
    train_replicas(replicas, data, keeper=Keeper(path=path, seconds=1e9), **options)
    return [end(replica, data) for replica in replicas]


def interrupt(replicas: Sequence[Replica], data: Any, path: Path, call: int) -> tuple[str, int]:
    """Train until the group tells the `call`-th time how far it is, with a checkpoint after every update; what it told
    last."""
    told: list[tuple[str, int]] = []

    def tell(stage: str, updates: int) -> None:
        told.append((stage, updates))
        if len(told) == call:
            raise Interrupted

    with pytest.raises(Interrupted):
        train_replicas(replicas, data, keeper=Keeper(path=path, seconds=0.0, tell=tell))
    return told[-1]


def assert_close(found: Outcome, expected: Outcome, tolerance: float) -> None:
    """The same end, curves and weights."""
    assert (found.status, found.reason) == (expected.status, expected.reason)
    assert [(p.stage, p.step) for p in found.curves] == [(p.stage, p.step) for p in expected.curves]
    for one, other in zip(found.curves, expected.curves, strict=True):
        assert one.value == pytest.approx(other.value, rel=tolerance)
    assert set(found.weights) == set(expected.weights)
    for name, tensor in expected.weights.items():
        torch.testing.assert_close(found.weights[name], tensor, rtol=tolerance, atol=tolerance)


def scores(outcome: Outcome) -> dict[str, float]:
    """What was measured but the time."""
    return {one.metric: one.value for one in outcome.measurements if one.metric != "train_seconds"}


def end(replica: Replica, data: Any, **options: Any) -> Outcome:
    """How a trial ends, from the checkpoint that its keeper has."""
    weights, ensemble = replica.teacher_weights, replica.ensemble_weights
    return train(
        replica.spec, data, keeper=replica.keeper, teacher_weights=weights, ensemble_weights=ensemble, **options
    )
