"""Tasks fine-tuned as one computation end as each seed does alone, whatever rows and padding the others have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from model_zoo.encoder import Encoder
from model_zoo.networks import TaskNetwork
from search.data.prepare import OpenData
from search.data.spec import TaskSpec
from search.recipe import KnowledgeTransfer, Optimizer, PatientStates, TaskDistillation
from search.training.acceleration import Acceleration
from search.training.fine_tuning import fine_tuning_stage
from search.training.loop import Keeper
from search.training.replica_fit import unfit, unfit_tasks
from search.training.replicas import train_replicas
from search.training.students import num_outputs
from search.training.task_rows import TaskBatch, TaskObjective, TaskRows
from search.training.task_stages import intermediate_stage
from search.training.train import Outcome
from search.trial import TrialSpec

RATE = Optimizer(learning_rate=0.003)
LAYER_WISE = replace(RATE, kind="lamb", layer_decay=0.9)
INTERMEDIATE = KnowledgeTransfer(
    steps=3,
    batch_size=7,
    optimizer=RATE,
    strategy="joint",
    copied="nothing",
    projection=True,
    attention_form="scores",
    embedding_factor=1.0,
)
DISTILLED = {
    "soft": TaskDistillation(teacher_share=0.5, temperature=3.0),
    "squared error": TaskDistillation(teacher_share=1.0, logits="squared_error"),
    "prediction": TaskDistillation(teacher_share=0.7, logits="prediction"),
    "patient": TaskDistillation(teacher_share=0.5, patient=PatientStates(factor=20.0, layer_map=(1,))),
    "intermediate": TaskDistillation(teacher_share=1.0, logits="prediction", intermediate=INTERMEDIATE),
}


@pytest.fixture(scope="module")
def data(spec: TrialSpec, data: OpenData) -> OpenData:
    """The tiny data, rows of spans cut behind their answers: whole windows are all of one length."""
    task = next(task for task in spec.data.tasks if task.kind == "span")
    train = data.tasks[task.name]["train"]
    kept = np.arange(spec.data.length) < np.maximum(train.labels[:, 1] + 1, 9)[:, None]
    fields = {name: np.where(kept, getattr(train, name), 0) for name in ("token_ids", "token_types")}
    cut = replace(train, mask=train.mask & kept, **fields)
    return replace(data, tasks=data.tasks | {task.name: data.tasks[task.name] | {"train": cut}})


def tuned(spec: TrialSpec, distillation: TaskDistillation | None = None, optimizer: Optimizer = RATE) -> TrialSpec:
    """The tiny trial without dropout: two updates before three tasks, one of every kind, of five updates each."""
    before = replace(spec.recipe.pre_training, steps=2)
    tuning = replace(spec.recipe.fine_tuning, steps=5, optimizer=optimizer, distillation=distillation)
    recipe = replace(spec.recipe, knowledge_transfer=None, pre_training=before, fine_tuning=tuning)
    student = replace(spec.encoder, hidden_dropout=0.0, attention_dropout=0.0)
    return replace(spec, student=student, recipe=recipe)


def with_ensemble(spec: TrialSpec) -> TrialSpec:
    """Taught on its tasks alone, by two teachers."""
    assert isinstance(spec.teacher, TrialSpec)
    recipe = replace(spec.recipe, pre_training=replace(spec.recipe.pre_training, teacher_share=0.0))
    return replace(spec, recipe=recipe, ensemble=(replace(spec.teacher, seed=spec.seed + 100),))


def trial_of(spec: TrialSpec, kind: str) -> TrialSpec:
    if kind == "ensemble":
        return with_ensemble(tuned(spec, TaskDistillation(teacher_share=1.0)))
    return tuned(spec, DISTILLED.get(kind), LAYER_WISE if kind == "lamb" else RATE)


def assert_the_same_end(grouped: Any, found: Outcome, expected: Outcome, tolerance: float) -> None:
    grouped.assert_close(found, expected, tolerance)
    assert grouped.scores(found) == pytest.approx(grouped.scores(expected), abs=1e-3)
    assert found.replicas == len(grouped.SEEDS) and expected.replicas == 1


@pytest.mark.parametrize("kind", ["labels", "lamb", *DISTILLED, "ensemble"])
@pytest.mark.usefixtures("double")
def test_every_replica_is_fine_tuned_as_its_seed_alone(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path, kind: str
) -> None:
    """A classification, spans and a regression, in float64: what differs is the order of sums. The group has done all:
    what is left of a trial is to say how it ended."""
    replicas = grouped.group(trial_of(spec, kind), tmp_path / "group")
    for replica, found in zip(replicas, grouped.together(replicas, data, tmp_path / "all"), strict=True):
        assert_the_same_end(grouped, found, grouped.alone(replica, data, tmp_path / "alone"), 1e-7)
        assert found.status == "complete"
        clock = found.measurements[-1].conditions["clock"]
        assert clock.endswith("; an equal share of what 3 seeds took as one computation")


def test_the_trial_of_a_finished_group_has_nothing_left_to_train(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    """Of a trial with dropout, whose tasks are no part of the group, all tasks are left."""
    for trial, left in ((tuned(spec), set()), (spec, {f"fine-tuning/{task.name}" for task in spec.data.tasks})):
        told = set[str]()
        replicas = grouped.group(trial, tmp_path / str(len(left)))
        train_replicas(replicas, data, keeper=Keeper(path=tmp_path / f"{len(left)} left"))
        keeper = replace(replicas[0].keeper, tell=lambda stage, updates, told=told: told.add(stage))
        assert grouped.end(replicas[0]._replace(keeper=keeper), data).status == "complete"
        assert told == left


def test_in_float32_scores_are_those_of_the_seed_alone(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    """With a look ahead, as a run does: the last digits of weights differ, no row is judged otherwise."""
    replicas = grouped.group(tuned(spec, DISTILLED["soft"]), tmp_path / "group")
    on = Acceleration(lookahead=True, prefetch=True)
    for replica, found in zip(replicas, grouped.together(replicas, data, tmp_path / "a", acceleration=on), strict=True):
        expected = grouped.alone(replica, data, tmp_path / "alone")
        grouped.assert_close(found, expected, 1e-3)
        assert grouped.scores(found) == pytest.approx(grouped.scores(expected), abs=0.1)


def padded(batch: TaskBatch) -> TaskBatch:
    """The batch as a replica sees it beside another one with rows that are two tokens longer."""
    inputs = (functional.pad(tensor, (0, 2)) for tensor in batch.inputs)
    return TaskBatch(*inputs, batch.labels)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("kind", ["labels", *DISTILLED])
@pytest.mark.usefixtures("double")
def test_the_padding_of_another_replica_changes_no_loss(spec: TrialSpec, data: Any, number: int, kind: str) -> None:
    task = spec.data.tasks[number]
    split, tuning = data.tasks[task.name]["train"], tuned(spec, DISTILLED.get(kind)).recipe.fine_tuning
    torch.manual_seed(0)
    assert spec.teacher is not None
    network, teacher = (
        TaskNetwork(Encoder(replace(config, max_positions=spec.data.length + 2)), num_outputs(task)).eval()
        for config in (spec.encoder, spec.teacher.encoder)
    )
    stage = fine_tuning_stage(network, task, split, tuning, 7, teacher)
    if kind == "intermediate":
        stage = intermediate_stage(network, teacher, task, split, replace(INTERMEDIATE, projection=False), 7)
    objective = stage.objective
    assert isinstance(objective, TaskObjective)
    batch = objective.rows.batch(0)
    losses = [
        objective.value(one, None if objective.answers is None else objective.answers(teacher, one))
        for one in (batch, padded(batch))
    ]
    torch.testing.assert_close(*losses, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_rows_of_several_seeds_are_each_seeds_own_cut_to_the_longest_of_all(
    grouped: Any, spec: TrialSpec, data: Any, number: int
) -> None:
    task = spec.data.tasks[number]
    split, cpu = data.tasks[task.name]["train"], torch.device("cpu")
    each, differ = [TaskRows(task, split, 10, seed, cpu) for seed in grouped.SEEDS], False
    for step in range(5):
        together, own = each[0].of_seeds(step, grouped.SEEDS), [rows.batch(step) for rows in each]
        lengths = [one.mask.shape[1] for one in own]
        differ |= len(set(lengths)) > 1
        for place, (one, longest) in enumerate(zip(own, lengths, strict=True)):
            assert torch.equal(together.labels[place], one.labels)
            for stacked, tensor in zip(together.inputs, one.inputs, strict=True):
                assert torch.equal(stacked[place][:, :longest], tensor)
            assert not together.mask[place][:, longest:].any()
        assert together.mask.shape == (3, 10, max(lengths))
    assert differ


def poisoned(weights: dict[str, Any], task: str) -> dict[str, Any]:
    """The weights with a NaN in every tensor of a task's network."""
    return {name: tensor * float("nan") if f"/{task}/" in name else tensor for name, tensor in weights.items()}


def test_a_replica_that_diverges_in_one_task_ends_as_alone_and_disturbs_no_other(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    """The middle one's teacher of the second task says NaN: what it did before is told, no score and no weights."""
    trial = tuned(spec, DISTILLED["soft"])
    healthy, ill = grouped.group(trial, tmp_path / "healthy"), grouped.group(trial, tmp_path / "ill")
    second = trial.data.tasks[1].name
    ill[1] = ill[1]._replace(teacher_weights=poisoned(ill[1].teacher_weights, second))
    expected = grouped.together(healthy, data, tmp_path / "one")
    found = grouped.together(ill, data, tmp_path / "other")
    middle, its_own = found[1], grouped.alone(ill[1], data, tmp_path / "alone")
    assert middle.reason == f"the loss became nan in stage fine-tuning/{second} at step 0"
    grouped.assert_close(middle, its_own, 1e-3)
    assert len(middle.curves) == 7 and not middle.weights and not grouped.scores(middle)
    for place in (0, 2):
        grouped.assert_close(found[place], expected[place], 0.0)
        assert grouped.scores(found[place]) == grouped.scores(expected[place])


def test_a_replica_that_diverges_in_the_middle_of_a_task_says_its_step(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    """The teacher of one does not know a word that its rows have first in the third update."""
    trial = tuned(spec, DISTILLED["soft"])
    task = trial.data.tasks[0]
    network = TaskNetwork(Encoder(trial.encoder), num_outputs(task))
    stage = fine_tuning_stage(network, task, data.tasks[task.name]["train"], replace(trial.recipe.fine_tuning), 8)
    assert isinstance(stage.objective, TaskObjective)
    *before, last = (set(stage.objective.rows.batch(step).token_ids.flatten().tolist()) for step in range(3))
    word = min(last.difference(*before))
    ill = grouped.group(trial, tmp_path / "ill")
    table = f"tasks/{task.name}/encoder.embedding.tokens.weight"
    ill[1].teacher_weights[table][word] = float("nan")
    found = grouped.together(ill, data, tmp_path / "all")[1]
    assert found.reason == f"the loss became nan in stage fine-tuning/{task.name} at step 2"
    grouped.assert_close(found, grouped.alone(ill[1], data, tmp_path / "alone"), 1e-3)


def test_logits_that_are_not_finite_end_a_replica_at_its_scores(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    """The last update blows up: no loss would show it."""
    last = Optimizer(learning_rate=1e30, warmup=0.0)
    trial = tuned(spec, optimizer=last)
    trial = replace(trial, recipe=replace(trial.recipe, fine_tuning=replace(trial.recipe.fine_tuning, steps=1)))
    replicas = grouped.group(trial, tmp_path / "group")
    for replica, found in zip(replicas, grouped.together(replicas, data, tmp_path / "all"), strict=True):
        assert found.reason == f"the logits of task {trial.data.tasks[0].name} are not finite"
        grouped.assert_close(found, grouped.alone(replica, data, tmp_path / "alone"), 1e-3)


@pytest.mark.parametrize("kind", ["labels", "lamb", "intermediate"])
def test_a_group_interrupted_in_its_tasks_ends_bit_equal(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path, kind: str
) -> None:
    """Killed in a task, at its end, while it is scored and in the next one, with a checkpoint after every update."""
    trial = trial_of(spec, kind)
    first, second, third = (task.name for task in trial.data.tasks)
    whole = grouped.together(grouped.group(trial, tmp_path / "whole"), data, tmp_path / "a")
    replicas, path = grouped.group(trial, tmp_path / "parts"), tmp_path / "b"
    places = [grouped.interrupt(replicas, data, path, call) for call in (1, 3, 3, 2, 5, 8)]
    before = [("distillation", 1)]
    if kind == "intermediate":
        stages = [(f"intermediate/{first}", 4), (f"intermediate/{first}", 5), (f"intermediate/{first}", 5)]
        assert places == [*before, *stages, (f"fine-tuning/{first}", 7), (f"intermediate/{second}", 12)]
    else:
        stages = [(f"fine-tuning/{first}", 4), (f"fine-tuning/{first}", 7), (f"fine-tuning/{first}", 7)]
        assert places == [*before, *stages, (f"fine-tuning/{second}", 9), (f"fine-tuning/{third}", 14)]
    for found, expected in zip(grouped.together(replicas, data, path), whole, strict=True):
        grouped.assert_close(found, expected, 0.0)
        assert grouped.scores(found) == grouped.scores(expected)


def test_a_group_goes_on_in_its_tasks_with_its_own_members_alone(
    grouped: Any, spec: TrialSpec, data: Any, tmp_path: Path
) -> None:
    path, trial = tmp_path / "all.safetensors", tuned(spec)
    stage, _ = grouped.interrupt(grouped.group(trial, tmp_path / "g", (7, 8)), data, path, 6)
    assert stage.startswith("fine-tuning/")
    with pytest.raises(ValueError, match=r"^a replica group goes on with the trials that it began with, .* seeds 7, 8"):
        train_replicas(grouped.group(trial, tmp_path / "h", (7, 9)), data, keeper=Keeper(path=path))


def on(spec: TrialSpec, *tasks: TaskSpec) -> TrialSpec:
    """The trial and its teacher with these tasks alone."""
    data = replace(spec.data, tasks=tasks)
    assert isinstance(spec.teacher, TrialSpec)
    return replace(spec, data=data, teacher=replace(spec.teacher, data=data))


def test_tasks_that_cannot_be_stacked_are_left_to_each_seed_by_their_reason(spec: TrialSpec) -> None:
    assert unfit(spec) == "" and unfit_tasks(spec) == "dropout, which fine-tuning has, is drawn for one seed at a time"
    trial = tuned(spec)
    assert unfit_tasks(trial) == ""
    assert unfit_tasks(on(spec)) == ""
    shared = replace(trial.recipe, fine_tuning=replace(trial.recipe.fine_tuning, multi_task=True))
    assert unfit_tasks(replace(trial, recipe=shared)).startswith(
        "a multi-task student takes its tasks in another order"
    )
    hot = tuned(spec, TaskDistillation(teacher_share=1.0, temperature=101.0))
    assert unfit_tasks(hot) == "above a temperature of 100 a span's padding counts"
    for task in hot.data.tasks:
        assert (unfit_tasks(on(hot, task)) == "") == (task.kind != "span")
