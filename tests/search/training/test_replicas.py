"""Seeds trained as one computation end as each of them does alone, whatever happens to the others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from model_zoo.networks import PreTrainingNetwork
from search.recipe import KnowledgeTransfer, TripleLoss
from search.training.acceleration import Acceleration, Ranks
from search.training.loop import Keeper
from search.training.replica_parts import stacked_batch
from search.training.replicas import Replica, check_replicas, train_replicas, unfit
from search.training.stages import Batches
from search.training.train import Outcome, train
from search.trial import TrialSpec

SEEDS = (7, 8, 9)
KINDS = ("progressive", "hard", "joint", "auxiliary", "distillation", "labels")


class Interrupted(Exception):
    """Stands for a killed process."""


@pytest.fixture
def double() -> Iterator[None]:
    """Weights in float64: what is left of a difference is no rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def variant(spec: TrialSpec, kind: str, optimizer: str) -> TrialSpec:
    """The tiny trial without tasks, of a kind of stages, twelve updates or more."""
    recipe = spec.recipe
    assert isinstance(spec.teacher, TrialSpec) and recipe.knowledge_transfer is not None
    rate = replace(recipe.pre_training.optimizer, kind=optimizer, learning_rate=0.003)
    pre_training = replace(recipe.pre_training, steps=6, optimizer=rate)
    transfer: KnowledgeTransfer | None = replace(recipe.knowledge_transfer, steps=6, optimizer=rate)
    assert transfer is not None
    student = spec.student
    if kind == "hard":
        transfer = replace(transfer, freeze="hard")
    elif kind == "joint":
        transfer = replace(transfer, strategy="joint", copied="nothing", embedding_factor=1.0, projection=True)
    elif kind == "auxiliary":
        transfer = replace(transfer, strategy="auxiliary")
    elif kind in ("distillation", "labels"):
        transfer, pre_training = None, replace(pre_training, steps=12)
    if kind == "labels":
        pre_training = replace(pre_training, teacher_share=0.0)
        student = replace(spec.encoder, hidden_dropout=0.0, attention_dropout=0.0)
    data = replace(spec.data, tasks=())
    changed = replace(recipe, knowledge_transfer=transfer, pre_training=pre_training)
    return replace(spec, student=student, data=data, recipe=changed, teacher=replace(spec.teacher, data=data))


def weights_of_teacher(spec: TrialSpec, seed: int) -> dict[str, Any]:
    assert isinstance(spec.teacher, TrialSpec)
    torch.manual_seed(seed)
    network = PreTrainingNetwork(spec.teacher.encoder, pooler=spec.teacher.recipe.pooler)
    return {f"pretrained/{name}": tensor.detach() for name, tensor in network.state_dict().items()}


def at(spec: TrialSpec, seed: int) -> TrialSpec:
    assert isinstance(spec.teacher, TrialSpec)
    return replace(spec, seed=seed, teacher=replace(spec.teacher, seed=seed))


def group(spec: TrialSpec, folder: Path, seeds: Sequence[int] = SEEDS) -> list[Replica]:
    folder.mkdir(exist_ok=True)
    return [
        Replica(at(spec, seed), weights_of_teacher(spec, seed), Keeper(path=folder / str(seed), seconds=1e9))
        for seed in seeds
    ]


def alone(replica: Replica, data: Any, folder: Path) -> Outcome:
    """The same seed from its start."""
    folder.mkdir(exist_ok=True)
    keeper = Keeper(path=folder / f"{replica.spec.seed}", seconds=1e9)
    return train(replica.spec, data, keeper=keeper, teacher_weights=replica.teacher_weights)


def together(replicas: Sequence[Replica], data: Any, path: Path, **options: Any) -> list[Outcome]:
    """All of them as one computation, then each from what the group left it."""
    train_replicas(replicas, data, keeper=Keeper(path=path, seconds=1e9), **options)
    return [train(one.spec, data, keeper=one.keeper, teacher_weights=one.teacher_weights) for one in replicas]


def assert_close(found: Outcome, expected: Outcome, tolerance: float) -> None:
    assert (found.status, found.reason) == (expected.status, expected.reason)
    assert [(p.stage, p.step) for p in found.curves] == [(p.stage, p.step) for p in expected.curves]
    for one, other in zip(found.curves, expected.curves, strict=True):
        assert one.value == pytest.approx(other.value, rel=tolerance)
    assert set(found.weights) == set(expected.weights)
    for name, tensor in expected.weights.items():
        torch.testing.assert_close(found.weights[name], tensor, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("optimizer", ["lamb", "adamw"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("double")
def test_every_replica_ends_as_its_seed_alone(
    spec: TrialSpec, data: Any, tmp_path: Path, kind: str, optimizer: str
) -> None:
    """In float64, after twelve updates: what differs is the order of sums."""
    trial = variant(spec, kind, optimizer)
    replicas = group(trial, tmp_path / "group")
    for replica, found in zip(replicas, together(replicas, data, tmp_path / "all"), strict=True):
        assert_close(found, alone(replica, data, tmp_path / "alone"), 1e-7)
        assert found.status == "complete" and found.replicas == 3


def test_replicas_go_on_to_their_tasks_one_at_a_time(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    """In float32, with a look ahead: what a run does. The last digits differ, the scores do not."""
    replicas = group(spec, tmp_path / "group", SEEDS[:2])
    outcomes = together(replicas, data, tmp_path / "all", acceleration=Acceleration(lookahead=True))
    for replica, found in zip(replicas, outcomes, strict=True):
        expected = alone(replica, data, tmp_path / "alone")
        assert_close(found, expected, 1e-2)
        scores, expected_scores = (
            {one.metric: one.value for one in outcome.measurements if one.metric != "train_seconds"}
            for outcome in (found, expected)
        )
        assert scores == pytest.approx(expected_scores, abs=5.0)
        assert (
            found.measurements[-1]
            .conditions["clock"]
            .endswith("an equal share of what 2 seeds took as one computation before the tasks")
        )


def test_a_diverged_replica_is_named_and_disturbs_no_other(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    """The middle one's teacher says NaN: it diverges as it does alone, the others' numbers stay the same bits."""
    trial = variant(spec, "distillation", "lamb")
    healthy, ill = group(trial, tmp_path / "healthy"), group(trial, tmp_path / "ill")
    poisoned = {name: tensor * float("nan") for name, tensor in weights_of_teacher(trial, 8).items()}
    ill[1] = ill[1]._replace(teacher_weights=poisoned)
    expected = together(healthy, data, tmp_path / "one")
    found = together(ill, data, tmp_path / "other")
    middle, its_own = found[1], alone(ill[1], data, tmp_path / "alone")
    assert middle.status == "diverged" and not middle.weights
    assert (middle.reason, middle.curves) == (its_own.reason, its_own.curves)
    assert middle.reason == "the loss became nan in stage distillation at step 0"
    for place in (0, 2):
        assert_close(found[place], expected[place], 0.0)


def test_a_group_ends_early_when_all_have_diverged(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    trial = variant(spec, "distillation", "adamw")
    poisoned = {name: tensor * float("nan") for name, tensor in weights_of_teacher(trial, 8).items()}
    ill = [one._replace(teacher_weights=poisoned) for one in group(trial, tmp_path / "ill", SEEDS[:2])]
    told: list[int] = []
    keeper = Keeper(path=tmp_path / "all", tell=lambda stage, updates: told.append(updates))
    train_replicas(ill, data, keeper=keeper)
    assert told == [0]


@pytest.mark.parametrize("optimizer", ["lamb", "adamw"])
def test_a_group_interrupted_anywhere_ends_bit_equal(
    spec: TrialSpec, data: Any, tmp_path: Path, optimizer: str
) -> None:
    """Killed in its first stage, at its end and in the second, with a checkpoint after every update."""
    trial = variant(spec, "progressive", optimizer)
    whole = together(group(trial, tmp_path / "whole", SEEDS[:2]), data, tmp_path / "a")
    replicas, path = group(trial, tmp_path / "parts", SEEDS[:2]), tmp_path / "b"
    for update in (2, 6, 10):

        def tell(stage: str, updates: int, last: int = update) -> None:
            if updates == last:
                raise Interrupted(f"{stage} {updates}")

        with pytest.raises(Interrupted):
            train_replicas(replicas, data, keeper=Keeper(path=path, seconds=0.0, tell=tell))
    for found, expected in zip(together(replicas, data, path), whole, strict=True):
        assert_close(found, expected, 0.0)


def test_a_finished_group_asked_again_leaves_the_same_checkpoints(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    """As after a kill between the trials' checkpoints and the end of the group's."""
    replicas = group(variant(spec, "distillation", "lamb"), tmp_path / "group", SEEDS[:2])
    first = together(replicas, data, tmp_path / "all")
    told: list[int] = []
    keeper = Keeper(path=tmp_path / "all", tell=lambda stage, updates: told.append(updates))
    train_replicas(replicas, data, keeper=keeper)
    assert told == []
    for replica, expected in zip(replicas, first, strict=True):
        again = train(replica.spec, data, keeper=replica.keeper, teacher_weights=replica.teacher_weights)
        assert_close(again, expected, 0.0)


def test_another_membership_is_refused(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    trial = replace(variant(spec, "distillation", "lamb"), seed=7)
    train_replicas(group(trial, tmp_path / "g", SEEDS[:2]), data, keeper=Keeper(path=tmp_path / "all.safetensors"))
    message = (
        r"^a replica group goes on with the trials that it began with, those of seeds 7, 8, got those of seeds 7, 9; "
        r"run with --replicas 2, or delete checkpoints/all.safetensors$"
    )
    with pytest.raises(ValueError, match=message):
        train_replicas(group(trial, tmp_path / "h", (7, 9)), data, keeper=Keeper(path=tmp_path / "all.safetensors"))


def test_masked_positions_are_filled_up_and_do_not_count(spec: TrialSpec, data: Any) -> None:
    drawn = [Batches(data.pretraining, seed, spec.data.length, torch.device("cpu")).get(0, 6) for seed in SEEDS]
    counts = [len(batch.masked_positions) for batch in drawn]
    assert len(set(counts)) > 1
    batch = stacked_batch(drawn)
    assert batch["masked_real"].sum(1).tolist() == counts
    for place, own in enumerate(drawn):
        real = batch["masked_real"][place]
        assert torch.equal(batch["masked_positions"][place][real], own.masked_positions)
        assert torch.equal(batch["masked_labels"][place][real], own.masked_labels)
        assert torch.equal(batch["token_ids"][place], own.token_ids)


def test_what_cannot_be_stacked_is_refused_by_its_reason(spec: TrialSpec) -> None:
    labels = variant(spec, "labels", "lamb")
    assert unfit(spec) == unfit(labels) == ""
    dropping = replace(labels, student=spec.student)
    assert unfit(dropping) == "dropout, which training on labels has, is drawn for one seed at a time"
    recipe = replace(
        spec.recipe, pre_training=replace(spec.recipe.pre_training, teacher_share=0.0, triple=TripleLoss())
    )
    assert unfit(replace(spec, recipe=recipe)).startswith("the triple loss reads another number of tokens")
    assert unfit(spec, Acceleration(compiled="blocks")) == "compiled blocks have one seed's weights"
    assert unfit(spec, Acceleration(ranks=Ranks(0, 2))) == "several processes train one seed"
    with pytest.raises(ValueError, match=r"^replicas are trained as one computation, got trials that cannot be: drop"):
        check_replicas([dropping, at(dropping, 8)])
    with pytest.raises(ValueError, match=r"^replicas are one trial with different seeds, got 2 trials of seeds 7, 8"):
        check_replicas([labels, at(variant(spec, "labels", "adamw"), 8)])
    with pytest.raises(ValueError, match=r"^replicas are one trial with different seeds, got 2 trials of seeds 7, 7"):
        check_replicas([spec, spec])


def test_replicas_take_bfloat16_products_as_a_seed_alone_does(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    replicas, on = (
        group(variant(spec, "distillation", "adamw"), tmp_path / "g", SEEDS[:2]),
        Acceleration(precision="bfloat16"),
    )
    found = together(replicas, data, tmp_path / "all", acceleration=on)
    for replica, outcome in zip(replicas, found, strict=True):
        keeper = Keeper(path=tmp_path / f"{replica.spec.seed}", seconds=1e9)
        weights = replica.teacher_weights
        expected = train(replica.spec, data, keeper=keeper, teacher_weights=weights, acceleration=on)
        values, expected_values = ([point.value for point in one.curves] for one in (outcome, expected))
        assert values == pytest.approx(expected_values, rel=0.02)
        exact = alone(replica, data, tmp_path / "alone")
        assert values != pytest.approx([point.value for point in exact.curves], rel=1e-5)
