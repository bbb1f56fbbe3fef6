"""A batch in parts: the mean of the ranks' losses is the loss of the whole batch, and so is that of its gradients."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from model_zoo.networks import PreTrainingNetwork
from model_zoo.own_code import own
from search.recipe import TaskDistillation, TripleLoss
from search.training.acceleration import OFF, Acceleration, Ranks
from search.training.pretraining import auxiliary_stage, pretraining_stage
from search.training.ranks import RankLostError, check_ranks, mean_over_ranks, with_own_dropout
from search.training.stages import Batches, rank_part
from search.training.task_rows import TaskRows
from search.training.transfer import transfer_stage
from search.trial import TrialSpec

CPU = torch.device("cpu")


def batches(spec: TrialSpec, data: Any, ranks: Ranks) -> Batches:
    on = OFF if ranks.size == 1 else Acceleration(ranks=ranks)
    return Batches(data.pretraining, 7, spec.data.length, CPU, on)


@pytest.mark.parametrize("kind", ["progressive", "joint", "auxiliary", "labels", "distillation"])
def test_the_mean_over_ranks_is_the_whole_batchs_loss_and_gradient(spec: TrialSpec, data: Any, kind: str) -> None:
    assert spec.teacher is not None and spec.recipe.knowledge_transfer is not None
    torch.manual_seed(0)
    student, teacher = (PreTrainingNetwork(config).eval() for config in (spec.student, spec.teacher.student))
    transfer, recipe = spec.recipe.knowledge_transfer, spec.recipe.pre_training

    def loss_and_gradient(ranks: Ranks) -> tuple[float, torch.Tensor]:
        given = batches(spec, data, ranks)
        if kind in ("progressive", "joint"):
            stage = transfer_stage(student, teacher, given, replace(transfer, strategy=kind))
        elif kind == "auxiliary":
            stage = auxiliary_stage(student, teacher, given, replace(transfer, strategy="auxiliary"), recipe)
        else:
            share = 0.5 if kind == "distillation" else 0.0
            stage = pretraining_stage(student, teacher, given, replace(recipe, teacher_share=share), 0)
        student.zero_grad()
        value = stage.loss(1)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item(), torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])

    whole, parts = loss_and_gradient(Ranks()), [loss_and_gradient(Ranks(rank, 3)) for rank in range(3)]
    assert sum(value for value, _ in parts) / 3 == pytest.approx(whole[0], rel=1e-5)
    torch.testing.assert_close(sum(gradient for _, gradient in parts) / 3, whole[1], rtol=1e-3, atol=1e-4)
    assert len({value for value, _ in parts}) == 3


def test_parts_of_a_batch_hold_every_row_and_masked_token_once(spec: TrialSpec, data: Any) -> None:
    whole = batches(spec, data, Ranks()).get(2, 6)
    parts = [rank_part(whole, Ranks(rank, 3)) for rank in range(3)]
    for name in ("token_ids", "token_types", "mask", "masked_labels", "is_random_next"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name
    guessed = torch.cat([part.token_ids.flatten()[part.masked_positions] for part in parts])
    assert torch.equal(guessed, whole.token_ids.flatten()[whole.masked_positions])
    for name in ("token_share", "masked_share"):
        assert sum(getattr(part, name) for part in parts) == pytest.approx(3)
    assert rank_part(whole, Ranks()) is whole and whole.token_share == 1.0


def test_parts_of_a_tasks_batch_hold_every_row_once(spec: TrialSpec, data: Any) -> None:
    task = spec.data.tasks[0]
    split = data.tasks[task.name]["train"]
    whole, *parts = (TaskRows(task, split, 10, 7, CPU, ranks).batch(1) for ranks in (Ranks(), Ranks(0, 2), Ranks(1, 2)))
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)


def test_a_batch_that_does_not_divide_is_refused_by_name(spec: TrialSpec) -> None:
    check_ranks(spec, 1)
    check_ranks(spec, 2)
    message = (
        r"^every process takes an equal part of a batch: batch_size of fine_tuning must be a multiple of the 3 "
        r"processes, got 10; choose --nproc-per-node so that it divides 10$"
    )
    with pytest.raises(ValueError, match=message):
        check_ranks(spec, 3)


def test_losses_that_are_no_mean_over_parts_are_refused_by_name(spec: TrialSpec) -> None:
    recipe = replace(spec.recipe, knowledge_transfer=None)
    triple = replace(recipe.pre_training, teacher_share=0.0, triple=TripleLoss())
    with pytest.raises(ValueError, match=r"^the triple loss has no mean that can be put together from parts, got 2"):
        check_ranks(replace(spec, recipe=replace(recipe, pre_training=triple)), 2)
    tang = replace(recipe.fine_tuning, distillation=TaskDistillation(teacher_share=1.0, logits="squared_error"))
    with pytest.raises(ValueError, match=r"^squared_error has no mean that can be put together from parts, got 2"):
        check_ranks(replace(spec, recipe=replace(recipe, fine_tuning=tang)), 2)
    tiny = replace(recipe.fine_tuning, distillation=TaskDistillation(teacher_share=1.0, logits="prediction"))
    spans = replace(spec, recipe=replace(recipe, fine_tuning=tiny))
    with pytest.raises(ValueError, match=r"^the prediction loss of a span has no mean that can be put together"):
        check_ranks(spans, 2)
    rest = replace(spec.data, tasks=tuple(task for task in spec.data.tasks if task.kind != "span"))
    assert spec.teacher is not None
    check_ranks(replace(spans, data=rest, teacher=replace(spec.teacher, data=rest)), 2)
    mine = replace(recipe.pre_training, teacher_share=0.5, own_loss=own("textwrap:dedent"), own_factor=1.0)
    with pytest.raises(
        ValueError, match=r"^a loss of one's own has no mean that can be put together from parts, got 2"
    ):
        check_ranks(replace(spec, recipe=replace(recipe, pre_training=mine)), 2)


def test_dropout_of_a_rank_is_its_own_and_the_same_after_a_resumption() -> None:
    def draw(step: int) -> torch.Tensor:
        return torch.rand(3)

    assert with_own_dropout(Ranks(), draw, 0, "pre-training") is draw
    first, second = (with_own_dropout(Ranks(rank, 2), draw, 0, "pre-training") for rank in (0, 1))
    assert torch.equal(first(4), first(4))
    assert not torch.equal(first(4), second(4)) and not torch.equal(first(4), first(5))


def test_a_lost_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(tensor: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer\nsomewhere")

    monkeypatch.setattr("search.training.ranks.dist.all_reduce", closed)
    with pytest.raises(RankLostError, match=r"^all processes must stay, got one that ended or was silent for too long"):
        mean_over_ranks(torch.tensor(1.0), Ranks(0, 2))
