"""What fine-tuning copies from a teacher's task network, and how several tasks share one encoder."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model_zoo.networks import PreTrainingNetwork, TaskNetwork
from search.distillation.logits import soft_logits_loss
from search.distillation.patient import patient_loss
from search.distillation.tinybert import prediction_loss
from search.recipe import PatientStates, TaskDistillation
from search.training.fine_tuning import fine_tuning_stage
from search.training.students import multi_task_network, separate, task_network
from search.training.task_losses import mixed_loss, task_loss, teacher_answers, tuning_loss
from search.training.task_rows import TaskRows
from search.training.task_stages import multi_task_stage, turn_order
from search.training.teacher_network import teacher_task_network


@pytest.fixture(params=["sentiment", "answering", "similarity"])
def task(request: pytest.FixtureRequest, spec: Any) -> Any:
    """One of every kind."""
    return next(task for task in spec.data.tasks if task.name == request.param)


@pytest.fixture
def pupil(spec: Any, task: Any) -> TaskNetwork:
    torch.manual_seed(0)
    return task_network(PreTrainingNetwork(spec.student), task, spec.recipe, 7).eval()


@pytest.fixture
def teacher(spec: Any, teacher_weights: Any, task: Any) -> TaskNetwork:
    return teacher_task_network(spec.teacher, teacher_weights, task, torch.device("cpu"))


@pytest.fixture
def batch(data: Any, task: Any) -> Any:
    return TaskRows(task, data.tasks[task.name]["train"], 10, 7, torch.device("cpu")).batch(0)


def distributions(kind: str, logits: Tensor, mask: Tensor) -> list[Tensor]:
    """The rows that are distributions of their own, without a span's padding."""
    if kind != "span":
        return list(logits)
    return [logits[row, mask[row], end] for row in range(len(logits)) for end in (0, 1)]


@pytest.mark.parametrize("form", ["soft", "squared_error", "prediction"])
def test_the_teachers_term_is_its_objective_row_by_row(
    task: Any, pupil: TaskNetwork, teacher: TaskNetwork, batch: Any, form: Any
) -> None:
    recipe = TaskDistillation(teacher_share=1.0, logits=form, temperature=1.0 if form == "squared_error" else 3.0)
    logits, target = pupil(*batch.inputs), teacher(*batch.inputs)
    found = mixed_loss(task, recipe, logits, target, batch.mask, batch.labels)
    if task.kind == "regression":
        expected = F.mse_loss(logits[:, 0], batch.labels if form == "prediction" else target[:, 0])
    else:
        rows = zip(*(distributions(task.kind, one, batch.mask) for one in (logits, target)), strict=True)
        pairs = [(row[None], other[None]) for row, other in rows]
        if form == "soft":
            expected = torch.stack([soft_logits_loss(*pair, 3.0) for pair in pairs]).mean()
        elif form == "prediction":
            columns = logits.shape[1]  # a span's classes are its positions, padded ones too
            expected = torch.stack([prediction_loss(*pair, 3.0) * pair[0].shape[1] / columns for pair in pairs]).mean()
        else:
            expected = F.mse_loss(*(torch.cat([pair[i][0] for pair in pairs]) for i in (0, 1)))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_labels_and_teacher_are_mixed_by_the_teachers_share(
    task: Any, pupil: TaskNetwork, teacher: TaskNetwork, batch: Any
) -> None:
    logits, target = pupil(*batch.inputs), teacher(*batch.inputs)
    copied = mixed_loss(task, TaskDistillation(teacher_share=1.0), logits, target, batch.mask, batch.labels)
    found = mixed_loss(task, TaskDistillation(teacher_share=0.3), logits, target, batch.mask, batch.labels)
    torch.testing.assert_close(found, 0.7 * task_loss(task, logits, batch.labels) + 0.3 * copied)


def test_patient_states_are_added_for_the_blocks_of_the_map(
    task: Any, pupil: TaskNetwork, teacher: TaskNetwork, batch: Any
) -> None:
    plain, patient = (
        TaskDistillation(teacher_share=0.5, patient=states)
        for states in (None, PatientStates(factor=20.0, layer_map=(1,)))
    )
    losses = [tuning_loss(pupil, task, one, batch, teacher_answers(teacher, one, batch)) for one in (plain, patient)]
    ours, theirs = (network.encoder(*batch.inputs).feature_maps for network in (pupil, teacher))
    expected = 20 * patient_loss(ours[0][None, :, 0], theirs[1][None, :, 0])
    torch.testing.assert_close(losses[1] - losses[0], expected, rtol=1e-4, atol=1e-6)


def test_several_tasks_take_turns_on_the_rows_that_each_would_see_alone(spec: Any, data: Any) -> None:
    torch.manual_seed(0)
    tasks, recipe = spec.data.tasks, spec.recipe.fine_tuning
    pretrained = PreTrainingNetwork(spec.student)
    networks = [task_network(pretrained, task, spec.recipe, 7).eval() for task in tasks]
    splits = {task.name: data.tasks[task.name]["train"] for task in tasks}
    shared = multi_task_network(networks).eval()
    stage = multi_task_stage(shared, tasks, splits, recipe, 7)
    assert (stage.name, stage.steps) == ("multi-task", 3 * recipe.steps)
    for turn in range(3):
        order = turn_order(3, turn, 7)
        assert sorted(order) == [0, 1, 2]
        for place, chosen in enumerate(order):
            alone = fine_tuning_stage(networks[chosen], tasks[chosen], splits[tasks[chosen].name], recipe, 7)
            assert stage.loss(3 * turn + place).item() == alone.loss(turn).item()
    with torch.no_grad():
        shared.encoder.embedding.tokens.weight.add_(1.0)
        shared.heads[1].dense.weight.add_(1.0)
    separate(shared, networks)
    for network, head in zip(networks, shared.heads, strict=True):
        assert torch.equal(network.encoder.embedding.tokens.weight, shared.encoder.embedding.tokens.weight)
        assert all(torch.equal(a, b) for a, b in zip(network.head.parameters(), head.parameters(), strict=True))
