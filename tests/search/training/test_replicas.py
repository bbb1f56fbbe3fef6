"""Seeds trained as one computation end as each of them does alone, whatever happens to the others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from search.recipe import KnowledgeTransfer, TripleLoss
from search.study import at_seed
from search.training.acceleration import Acceleration, Ranks
from search.training.loop import Keeper
from search.training.replica_fit import check_replicas, unfit
from search.training.replica_parts import stacked_batch
from search.training.replicas import train_replicas
from search.training.stages import Batches
from search.training.train import train
from search.trial import TrialSpec

KINDS = ("progressive", "hard", "joint", "auxiliary", "distillation", "labels")


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


@pytest.mark.parametrize("optimizer", ["lamb", "adamw"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("double")
def test_every_replica_ends_as_its_seed_alone(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path, kind: str, optimizer: str
) -> None:
    """In float64, after twelve updates: what differs is the order of sums."""
    trial = variant(spec, kind, optimizer)
    replicas = grouped.group(trial, tmp_path / "group")
    for replica, found in zip(replicas, grouped.together(replicas, data, tmp_path / "all"), strict=True):
        grouped.assert_close(found, grouped.alone(replica, data, tmp_path / "alone"), 1e-7)
        assert found.status == "complete" and found.replicas == 3


def test_replicas_go_on_to_their_tasks_one_at_a_time(grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    """In float32, with a look ahead: what a run does. The last digits differ, the scores do not."""
    replicas = grouped.group(spec, tmp_path / "group", grouped.SEEDS[:2])
    outcomes = grouped.together(replicas, data, tmp_path / "all", acceleration=Acceleration(lookahead=True))
    for replica, found in zip(replicas, outcomes, strict=True):
        expected = grouped.alone(replica, data, tmp_path / "alone")
        grouped.assert_close(found, expected, 1e-2)
        assert grouped.scores(found) == pytest.approx(grouped.scores(expected), abs=5.0)
        assert (
            found.measurements[-1]
            .conditions["clock"]
            .endswith("an equal share of what 2 seeds took as one computation before the tasks")
        )


def test_a_diverged_replica_is_named_and_disturbs_no_other(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    """The middle one's teacher says NaN: it diverges as it does alone, the others' numbers stay the same bits."""
    trial = variant(spec, "distillation", "lamb")
    healthy, ill = grouped.group(trial, tmp_path / "healthy"), grouped.group(trial, tmp_path / "ill")
    poisoned = {name: tensor * float("nan") for name, tensor in grouped.weights_of_teacher(trial, 8).items()}
    ill[1] = ill[1]._replace(teacher_weights=poisoned)
    expected = grouped.together(healthy, data, tmp_path / "one")
    found = grouped.together(ill, data, tmp_path / "other")
    middle, its_own = found[1], grouped.alone(ill[1], data, tmp_path / "alone")
    assert middle.status == "diverged" and not middle.weights
    assert (middle.reason, middle.curves) == (its_own.reason, its_own.curves)
    assert middle.reason == "the loss became nan in stage distillation at step 0"
    for place in (0, 2):
        grouped.assert_close(found[place], expected[place], 0.0)


def test_a_group_ends_early_when_all_have_diverged(grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    trial = variant(spec, "distillation", "adamw")
    poisoned = {name: tensor * float("nan") for name, tensor in grouped.weights_of_teacher(trial, 8).items()}
    ill = [one._replace(teacher_weights=poisoned) for one in grouped.group(trial, tmp_path / "ill", grouped.SEEDS[:2])]
    told: list[int] = []
    keeper = Keeper(path=tmp_path / "all", tell=lambda stage, updates: told.append(updates))
    train_replicas(ill, data, keeper=keeper)
    assert told == [0]


@pytest.mark.parametrize("optimizer", ["lamb", "adamw"])
def test_a_group_interrupted_anywhere_ends_bit_equal(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path, optimizer: str
) -> None:
    """Killed in its first stage, at its end and in the second, with a checkpoint after every update."""
    trial = variant(spec, "progressive", optimizer)
    whole = grouped.together(grouped.group(trial, tmp_path / "whole", grouped.SEEDS[:2]), data, tmp_path / "a")
    replicas, path = grouped.group(trial, tmp_path / "parts", grouped.SEEDS[:2]), tmp_path / "b"
    places = [grouped.interrupt(replicas, data, path, call) for call in (2, 4, 4)]
    assert places == [("transfer", 2), ("transfer", 6), ("distillation", 10)]
    for found, expected in zip(grouped.together(replicas, data, path), whole, strict=True):
        grouped.assert_close(found, expected, 0.0)


def test_a_finished_group_asked_again_leaves_the_same_checkpoints(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    """As after a kill between the trials' checkpoints and the end of the group's."""
    replicas = grouped.group(variant(spec, "distillation", "lamb"), tmp_path / "group", grouped.SEEDS[:2])
    first = grouped.together(replicas, data, tmp_path / "all")
    told: list[int] = []
    keeper = Keeper(path=tmp_path / "all", tell=lambda stage, updates: told.append(updates))
    train_replicas(replicas, data, keeper=keeper)
    assert told == []
    for replica, expected in zip(replicas, first, strict=True):
        again = train(replica.spec, data, keeper=replica.keeper, teacher_weights=replica.teacher_weights)
        grouped.assert_close(again, expected, 0.0)


def test_another_membership_is_refused(grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    trial = replace(variant(spec, "distillation", "lamb"), seed=7)
    train_replicas(
        grouped.group(trial, tmp_path / "g", grouped.SEEDS[:2]), data, keeper=Keeper(path=tmp_path / "all.safetensors")
    )
    message = (
        r"^a replica group goes on with the trials that it began with, those of seeds 7, 8, got those of seeds 7, 9; "
        r"run with --replicas 2, or delete checkpoints/all.safetensors$"
    )
    with pytest.raises(ValueError, match=message):
        train_replicas(
            grouped.group(trial, tmp_path / "h", (7, 9)), data, keeper=Keeper(path=tmp_path / "all.safetensors")
        )


def test_masked_positions_are_filled_up_and_do_not_count(grouped: Any, spec: TrialSpec, data: Any) -> None:
    drawn = [Batches(data.pretraining, seed, spec.data.length, torch.device("cpu")).get(0, 6) for seed in grouped.SEEDS]
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
        check_replicas([dropping, at_seed(dropping, 8)])
    with pytest.raises(ValueError, match=r"^replicas are one trial with different seeds, got 2 trials of seeds 7, 8"):
        check_replicas([labels, at_seed(variant(spec, "labels", "adamw"), 8)])
    with pytest.raises(ValueError, match=r"^replicas are one trial with different seeds, got 2 trials of seeds 7, 7"):
        check_replicas([spec, spec])


def test_replicas_take_bfloat16_products_as_a_seed_alone_does(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    replicas, on = (
        grouped.group(variant(spec, "distillation", "adamw"), tmp_path / "g", grouped.SEEDS[:2]),
        Acceleration(precision="bfloat16"),
    )
    found = grouped.together(replicas, data, tmp_path / "all", acceleration=on)
    for replica, outcome in zip(replicas, found, strict=True):
        keeper = Keeper(path=tmp_path / f"{replica.spec.seed}", seconds=1e9)
        weights = replica.teacher_weights
        expected = train(replica.spec, data, keeper=keeper, teacher_weights=weights, acceleration=on)
        values, expected_values = ([point.value for point in one.curves] for one in (outcome, expected))
        assert values == pytest.approx(expected_values, rel=0.02)
        exact = grouped.alone(replica, data, tmp_path / "alone")
        assert values != pytest.approx([point.value for point in exact.curves], rel=1e-5)
