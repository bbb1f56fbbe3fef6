"""A whole training: the same twice, the same after any interruption, and honest when it diverges."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from search.data.pretraining import pretraining_batch
from search.training import stages
from search.training.loop import Keeper
from search.training.train import Outcome, train
from search.trial import TrialSpec
from search.values import to_json

UPDATES = 4 + 5 + 3 * 3
FOR_EVER = 1e9
"""Seconds between checkpoints: only the ends of stages are saved."""


class Interrupted(Exception):
    """Stands for a killed process."""


@pytest.fixture(params=["lamb", "adamw"])
def trial(request: pytest.FixtureRequest, spec: TrialSpec) -> TrialSpec:
    """The tiny trial with either optimizer in transfer and distillation."""
    return with_optimizer(spec, kind=request.param)


def with_optimizer(spec: TrialSpec, **fields: Any) -> TrialSpec:
    recipe = spec.recipe
    assert recipe.knowledge_transfer is not None
    optimizer = replace(recipe.pre_training.optimizer, **fields)
    changed = replace(
        recipe,
        knowledge_transfer=replace(recipe.knowledge_transfer, optimizer=optimizer),
        pre_training=replace(recipe.pre_training, optimizer=optimizer),
    )
    return replace(spec, recipe=changed)


def interrupting(path: Path, after: int | None, seconds: float) -> Keeper:
    """A keeper that is told of every update and stops the process after one of them."""

    def tell(stage: str, updates: int) -> None:
        if updates == after:
            raise Interrupted(f"{stage} {updates}")

    return Keeper(path=path, seconds=seconds, tell=tell)


def outcome_of(trial: TrialSpec, data: Any, weights: Any, path: Path) -> Outcome:
    return train(trial, data, keeper=Keeper(path=path, seconds=FOR_EVER), teacher_weights=weights)


def assert_same(one: Outcome, other: Outcome) -> None:
    """Everything but the processor time is equal bit for bit."""
    assert (one.status, one.reason, one.curves) == (other.status, other.reason, other.curves)
    assert numbers(one) == numbers(other)
    assert set(one.weights) == set(other.weights)
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name


def numbers(outcome: Outcome) -> list[Any]:
    return [to_json(measurement) for measurement in outcome.measurements if measurement.metric != "train_seconds"]


def test_two_trainings_with_one_seed_are_bit_equal(
    trial: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    first, second = (outcome_of(trial, data, teacher_weights, tmp_path / name) for name in ("a", "b"))
    assert first.status == "complete"
    assert_same(first, second)


def test_another_seed_gives_other_weights(spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path) -> None:
    assert spec.teacher is not None
    other = replace(spec, seed=8, teacher=replace(spec.teacher, seed=8))
    first, second = (outcome_of(one, data, teacher_weights, tmp_path / str(one.seed)) for one in (spec, other))
    for name in ("pretrained/encoder.blocks.0.attention.query.weight", "tasks/sentiment/head.dense.weight"):
        assert not torch.equal(first.weights[name], second.weights[name])


def test_training_leaves_the_callers_generator_alone(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    outcome_of(spec, data, teacher_weights, tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_interrupted_after_every_single_update_ends_bit_equal(
    trial: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    """One training, killed once after each of its updates in turn, with a checkpoint after every update."""
    whole = outcome_of(trial, data, teacher_weights, tmp_path / "whole")
    path = tmp_path / "parts"
    for update in range(1, UPDATES + 1):
        with pytest.raises(Interrupted):
            train(trial, data, keeper=interrupting(path, update, 0.0), teacher_weights=teacher_weights)
    assert_same(train(trial, data, keeper=Keeper(path=path, seconds=0.0), teacher_weights=teacher_weights), whole)


@pytest.mark.parametrize("update", [1, 3, 4, 6, 9, 10, 14, 18])
def test_a_training_interrupted_once_ends_bit_equal(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, update: int
) -> None:
    """With checkpoints after every update, and with those at the ends of stages only (work is then done again)."""
    whole = outcome_of(spec, data, teacher_weights, tmp_path / "whole")
    for name, seconds in (("often", 0.0), ("seldom", FOR_EVER)):
        path = tmp_path / name
        with pytest.raises(Interrupted):
            train(spec, data, keeper=interrupting(path, update, seconds), teacher_weights=teacher_weights)
        assert_same(outcome_of(spec, data, teacher_weights, path), whole)


def test_a_teacher_interrupted_with_dropout_ends_bit_equal(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    assert spec.teacher is not None and spec.teacher.student.hidden_dropout > 0
    whole = outcome_of(spec.teacher, data, None, tmp_path / "whole")
    path = tmp_path / "parts"
    for update in (2, 5, 11):
        with pytest.raises(Interrupted):
            train(spec.teacher, data, keeper=interrupting(path, update, 0.0))
    assert_same(outcome_of(spec.teacher, data, None, path), whole)


def test_a_finished_training_asked_again_repeats_no_update(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    whole = outcome_of(spec, data, teacher_weights, tmp_path / "a")
    told: list[int] = []
    keeper = Keeper(path=tmp_path / "a", tell=lambda stage, updates: told.append(updates))
    assert_same(train(spec, data, keeper=keeper, teacher_weights=teacher_weights), whole)
    assert told == []


def test_progress_counts_every_update_of_every_stage(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    told: list[tuple[str, int]] = []
    keeper = Keeper(path=tmp_path / "a", tell=lambda stage, updates: told.append((stage, updates)))
    train(spec, data, keeper=keeper, teacher_weights=teacher_weights)
    names = ["transfer"] * 4 + ["distillation"] * 5
    names += [f"fine-tuning/{task}" for task in ("sentiment", "answering", "similarity") for _ in range(3)]
    assert told == list(zip(names, range(1, UPDATES + 1), strict=True))


def test_the_outcome_holds_every_task_their_mean_and_the_curves(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    outcome = outcome_of(spec, data, teacher_weights, tmp_path / "a")
    values = {measurement.metric: measurement.value for measurement in outcome.measurements}
    metrics = ("sentiment/accuracy", "answering/span_f1", "answering/exact_match", "similarity/spearman")
    assert set(values) == {"accuracy", "validation/accuracy", "train_seconds"} | {
        f"{prefix}{metric}" for prefix in ("", "validation/") for metric in (*metrics, "similarity/pearson")
    }
    for prefix in ("", "validation/"):
        primary = [values[f"{prefix}{m}"] for m in ("sentiment/accuracy", "answering/span_f1", "similarity/spearman")]
        assert values[f"{prefix}accuracy"] == pytest.approx(sum(primary) / 3)
    assert [point.stage for point in outcome.curves][:9] == ["transfer"] * 4 + ["distillation"] * 5
    assert {name.split("/")[0] for name in outcome.weights} == {"pretrained", "tasks"}


def test_all_arms_of_a_seed_see_the_same_batches(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bytes, bytes]] = []

    def spy(*arguments: Any, step: int, **options: Any) -> Any:
        batch = pretraining_batch(*arguments, step=step, **options)
        seen.append((step, batch.token_ids.tobytes(), batch.masked_labels.tobytes()))
        return batch

    monkeypatch.setattr(stages, "pretraining_batch", spy)
    longer = replace(spec.recipe.pre_training, steps=9, teacher_share=0.0)
    arms = {
        "transfer": spec,
        "wider": replace(spec, student=replace(spec.student, bottleneck_size=12)),
        "bare": replace(spec, teacher=None, recipe=replace(spec.recipe, knowledge_transfer=None, pre_training=longer)),
    }
    batches = {}
    for name, arm in arms.items():
        seen.clear()
        outcome_of(arm, data, teacher_weights if arm.teacher else None, tmp_path / name)
        batches[name] = list(seen)
    assert batches["transfer"] == batches["wider"] == batches["bare"]
    assert [step for step, *_ in batches["bare"]] == list(range(9))
    assert len({ids for _, ids, _ in batches["bare"]}) == 9


def test_a_trial_with_a_teacher_needs_its_weights(spec: TrialSpec, data: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a trial with a teacher needs the teacher's weights, got none; train the"):
        outcome_of(spec, data, None, tmp_path / "a")


def test_a_corrupted_checkpoint_is_refused(spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"nothing of ours")
    with pytest.raises(ValueError, match=r"^checkpoint a is corrupted"):
        outcome_of(spec, data, teacher_weights, tmp_path / "a")


# Divergence


def assert_diverged(outcome: Outcome, reason: str) -> None:
    assert outcome.status == "diverged"
    assert reason in outcome.reason
    assert outcome.weights == {}
    assert [measurement.metric for measurement in outcome.measurements] == ["train_seconds"]


@pytest.mark.parametrize("kind", ["lamb", "adamw"])
def test_a_learning_rate_that_blows_up_is_an_outcome_without_numbers(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, kind: str
) -> None:
    outcome = outcome_of(with_optimizer(spec, kind=kind, learning_rate=1e30), data, teacher_weights, tmp_path / "a")
    assert_diverged(outcome, "in stage transfer at step")


def test_poisoned_teacher_weights_are_noticed_at_the_first_step(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    name = "pretrained/encoder.blocks.0.attention.value.weight"
    poisoned = dict(teacher_weights) | {name: torch.full_like(teacher_weights[name], float("nan"))}
    outcome = outcome_of(spec, data, poisoned, tmp_path / "a")
    assert_diverged(outcome, "the loss became nan in stage transfer at step 0")
    assert outcome.curves == ()


@pytest.mark.parametrize("steps", [1, 2])
def test_fine_tuning_that_blows_up_has_no_accuracy_either(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, steps: int
) -> None:
    """With one step no later loss shows the damage: the logits do."""
    wild = replace(
        spec.recipe.fine_tuning,
        steps=steps,
        optimizer=replace(spec.recipe.fine_tuning.optimizer, learning_rate=1e38, warmup=0.0),
    )
    outcome = outcome_of(
        replace(spec, recipe=replace(spec.recipe, fine_tuning=wild)), data, teacher_weights, tmp_path / "a"
    )
    assert_diverged(outcome, "sentiment")
    assert {point.stage for point in outcome.curves} >= {"transfer", "distillation"}


def test_a_diverged_training_diverges_again_in_the_same_way(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    wild = with_optimizer(spec, learning_rate=1e30)
    first, second = (outcome_of(wild, data, teacher_weights, tmp_path / name) for name in ("a", "b"))
    assert_same(first, second)
    assert_same(outcome_of(wild, data, teacher_weights, tmp_path / "a"), first)
