"""What each stage moves, at which rate, on which rows."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model_zoo.networks import PreTrainingNetwork, copy_from_teacher
from search.data.tasks import TaskSplit
from search.recipe import KnowledgeTransfer, Optimizer, PreTraining
from search.training.fine_tuning import fine_tuning_stage
from search.training.loop import DivergedError, Keeper, Position, run_stage
from search.training.pretraining import pretraining_stage
from search.training.stages import Batches, Stage
from search.training.task_losses import task_loss
from search.training.task_rows import label_scale, rows_of_step
from search.training.transfer import transfer_stage

PEAK = 0.01
STEPS = 8
"""Two phases of four steps."""


class Recorded:
    """After every step of a stage: the weights, and the learning rate of each group."""

    def __init__(self, stage: Stage, path: Path) -> None:
        self.weights = [self.copy(stage)]
        self.rates: list[list[float]] = []
        self.with_moments: list[int] = []

        def tell(name: str, updates: int) -> None:
            self.weights.append(self.copy(stage))
            self.rates.append([group["lr"] for group in stage.optimizer.param_groups])
            self.with_moments.append(len(stage.optimizer.state))

        run_stage(stage, Position(), Keeper(path=path, seconds=1e9, tell=tell), {})

    @staticmethod
    def copy(stage: Stage) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in stage.network.state_dict().items()}

    def moved(self, step: int) -> set[str]:
        """Names of the tensors that step `step` changed."""
        before, after = self.weights[step], self.weights[step + 1]
        return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture
def networks(spec: Any, teacher_weights: Any) -> tuple[PreTrainingNetwork, PreTrainingNetwork]:
    """A student that has copied its teacher, and the teacher."""
    torch.manual_seed(0)
    teacher = PreTrainingNetwork(spec.teacher.student)
    named = {name.removeprefix("pretrained/"): t for name, t in teacher_weights.items() if name.startswith("pre")}
    teacher.load_state_dict(named)
    teacher.eval().requires_grad_(False)
    student = PreTrainingNetwork(spec.student)
    copy_from_teacher(student, teacher)
    return student.eval(), teacher


@pytest.fixture
def batches(data: Any) -> Batches:
    return Batches(data.pretraining, 7, 24, torch.device("cpu"))


@pytest.fixture(params=["lamb", "adamw"])
def transferred(
    request: pytest.FixtureRequest, networks: Any, batches: Batches, tmp_path: Path
) -> Iterator[tuple[Recorded, Any]]:
    """A transfer of two blocks, recorded, and the teacher."""
    optimizer = Optimizer(kind=request.param, learning_rate=PEAK, warmup=0.5, final_share=0.1)
    recipe = KnowledgeTransfer(steps=STEPS, batch_size=6, optimizer=optimizer)
    before = {name: tensor.clone() for name, tensor in networks[1].state_dict().items()}
    yield Recorded(transfer_stage(*networks, batches, recipe), tmp_path / "a"), networks[1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in networks[1].state_dict().items())


def test_in_transfer_embeddings_heads_and_later_blocks_stand_still(transferred: Any) -> None:
    recorded, _ = transferred
    frozen = {name for name in recorded.weights[0] if not name.startswith("encoder.blocks.")}
    later = {name for name in recorded.weights[0] if name.startswith("encoder.blocks.1.")}
    assert {name.split(".")[0] for name in frozen} == {"encoder", "masked_language", "next_sentence"}
    for step in range(STEPS):
        still = frozen | later if step < STEPS // 2 else frozen
        assert not recorded.moved(step) & still, step


def test_in_transfer_the_phases_block_moves_and_those_below_follow(transferred: Any) -> None:
    recorded, _ = transferred
    for step in range(STEPS):
        moved = {name.split(".")[2] for name in recorded.moved(step)}
        assert moved == ({"0"} if step < STEPS // 2 else {"0", "1"}), step
    first, last = recorded.weights[0], recorded.weights[-1]
    unmoved = {name for name in first if ".blocks." in name and torch.equal(first[name], last[name])}
    # Equal shifts of all of a query's scores do not change its attention: the key's bias has no gradient but rounding.
    assert not {name for name in unmoved if "key.bias" not in name}


def test_the_rates_of_transfer_follow_the_table(transferred: Any) -> None:
    recorded, _ = transferred
    # Background 0.9 + 0.1 sqrt(1 - x) at x = 1/4, 1/2, 3/4, 1; three times that in a block's phase, 0.3 times after it.
    table = [
        (0.02959807621135332, 0.0),
        (0.02912132034355964, 0.0),
        (0.0285, 0.0),
        (0.027, 0.0),
        (0.002959807621135332, 0.02959807621135332),
        (0.002912132034355964, 0.02912132034355964),
        (0.00285, 0.0285),
        (0.0027, 0.027),
    ]
    for step, (below, above) in enumerate(table):
        # Two groups per block: matrices and vectors.
        assert recorded.rates[step] == pytest.approx([below, below, above, above], rel=1e-12), step
    assert table[0][0] == pytest.approx(PEAK * 3 * (0.9 + 0.1 * math.sqrt(0.75)))


def test_a_block_has_no_moments_before_its_phase(transferred: Any) -> None:
    recorded, _ = transferred
    total = sum(1 for name in recorded.weights[0] if ".blocks." in name)
    assert recorded.with_moments == [total // 2] * 4 + [total] * 4


def test_the_transfer_loss_falls_within_a_phase(networks: Any, batches: Batches) -> None:
    """On one batch, over and over, so that nothing but learning can lower it."""
    recipe = KnowledgeTransfer(steps=60, batch_size=6, optimizer=Optimizer(learning_rate=0.003))
    stage = transfer_stage(*networks, batches, recipe)
    losses = []
    for _ in range(30):
        stage.optimizer.zero_grad()
        loss = stage.loss(0)
        loss.backward()
        losses.append(loss.item())
        stage.optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_a_perfect_copy_has_no_transfer_loss(networks: Any, batches: Batches) -> None:
    _, teacher = networks
    recipe = KnowledgeTransfer(steps=2, batch_size=6, optimizer=Optimizer(learning_rate=0.1))
    stage = transfer_stage(teacher, teacher, batches, recipe)
    assert stage.loss(0).item() == pytest.approx(0.0, abs=1e-5)
    assert stage.loss(1).item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("factor", ["feature_map_factor", "mean_factor", "variance_factor", "attention_factor"])
def test_every_factor_of_transfer_changes_the_loss(networks: Any, batches: Batches, factor: str) -> None:
    fields = {"steps": 2, "batch_size": 6, "optimizer": Optimizer(learning_rate=0.1)}
    losses = [
        transfer_stage(*networks, batches, KnowledgeTransfer(**fields, **more)).loss(0).item()
        for more in ({}, {factor: 0.0}, {"average_heads": True})
    ]
    assert losses[1] < losses[0]
    assert losses[2] < losses[0]  # averaging can only bring maps nearer


def test_distillation_moves_everything_and_at_linear_rates(networks: Any, batches: Batches, tmp_path: Path) -> None:
    optimizer = Optimizer(learning_rate=PEAK, warmup=0.4, final_share=0.5)
    recipe = PreTraining(steps=5, batch_size=6, optimizer=optimizer, teacher_share=0.5)
    stage = pretraining_stage(*networks, batches, recipe, first_update=4)
    assert (stage.name, stage.dropout) == ("distillation", False)
    recorded = Recorded(stage, tmp_path / "a")
    table = [PEAK / 3, 2 * PEAK / 3, PEAK, 5 * PEAK / 6, 4 * PEAK / 6]
    assert recorded.rates == [pytest.approx([rate, rate]) for rate in table]
    first, last = recorded.weights[0], recorded.weights[-1]
    # The key's bias has no gradient but rounding; the positions beyond a batch and unseen tokens have none at all.
    assert {n for n in first if torch.equal(first[n], last[n])} <= {n for n in first if "key.bias" in n}


def test_without_a_teachers_share_labels_alone_and_dropout_count(networks: Any, batches: Batches) -> None:
    student, teacher = networks
    recipe = PreTraining(steps=5, batch_size=6, optimizer=Optimizer(learning_rate=PEAK))
    with_teacher, alone = (pretraining_stage(student, one, batches, recipe, 0) for one in (teacher, None))
    assert (alone.name, alone.dropout) == ("pre-training", True)
    student.eval()
    assert with_teacher.loss(2).item() == alone.loss(2).item()
    batch = batches.get(2, 6)
    logits = student(batch.token_ids, batch.mask, batch.token_types, batch.masked_positions)
    losses = [
        torch.nn.functional.cross_entropy(logits.masked_language, batch.masked_labels),
        torch.nn.functional.cross_entropy(logits.next_sentence, batch.is_random_next),
    ]
    assert alone.loss(2).item() == pytest.approx(sum(loss.item() for loss in losses), rel=1e-6)


def test_weight_decay_and_trust_ratio_are_for_matrices_only(networks: Any, batches: Batches) -> None:
    recipe = PreTraining(steps=5, batch_size=6, optimizer=Optimizer(learning_rate=PEAK, weight_decay=0.03))
    groups = pretraining_stage(networks[0], None, batches, recipe, 0).optimizer.param_groups
    assert [(group["weight_decay"], group["adapt"]) for group in groups] == [(0.03, True), (0.0, False)]
    assert {parameter.ndim for parameter in groups[0]["params"]} == {2}
    assert {parameter.ndim for parameter in groups[1]["params"]} == {1}
    assert sum(len(group["params"]) for group in groups) == len(list(networks[0].parameters()))


# Fine-tuning


def test_every_epoch_shows_every_row_once() -> None:
    rows = np.concatenate([rows_of_step(10, 4, step, 3, "task") for step in range(15)])
    for epoch in range(6):
        assert sorted(rows[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert not np.array_equal(rows[:10], rows[10:20])


def test_a_batch_may_be_larger_than_the_split() -> None:
    rows = np.concatenate([rows_of_step(3, 8, step, 0, "task") for step in range(3)])
    assert sorted(np.bincount(rows)) == [8, 8, 8]


def test_rows_depend_on_seed_task_and_step_alone() -> None:
    assert np.array_equal(rows_of_step(50, 8, 3, 1, "a"), rows_of_step(50, 8, 3, 1, "a"))
    for other in (rows_of_step(50, 8, 4, 1, "a"), rows_of_step(50, 8, 3, 2, "a"), rows_of_step(50, 8, 3, 1, "b")):
        assert not np.array_equal(rows_of_step(50, 8, 3, 1, "a"), other)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_cutting_a_batch_to_its_longest_row_changes_no_loss(spec: Any, data: Any, number: int) -> None:
    from model_zoo.encoder import Encoder
    from model_zoo.networks import TaskNetwork

    task = spec.data.tasks[number]
    split = data.tasks[task.name]["train"]
    torch.manual_seed(0)
    network = TaskNetwork(Encoder(spec.student), {"classification": 2, "regression": 1, "span": 0}[task.kind]).eval()
    stage = fine_tuning_stage(network, task, split, spec.recipe.fine_tuning, seed=7)
    rows = rows_of_step(len(split), 10, 1, 7, task.name)
    ids, mask, types, labels = (
        torch.from_numpy(np.asarray(part)[rows])
        for part in (split.token_ids, split.mask, split.token_types, split.labels)
    )
    if task.kind == "regression":
        shift, scale = label_scale(task, split)
        labels = (labels - shift) / scale
    assert stage.loss(1).item() == pytest.approx(task_loss(task, network(ids, mask, types), labels).item(), rel=1e-5)


def test_only_a_regression_standardises_its_labels(spec: Any, data: Any) -> None:
    named = {task.kind: task for task in spec.data.tasks}
    for kind in ("classification", "span"):
        assert label_scale(named[kind], data.tasks[named[kind].name]["train"]) == (0.0, 1.0)
    split = data.tasks[named["regression"].name]["train"]
    shift, scale = label_scale(named["regression"], split)
    assert (shift, scale) == pytest.approx((split.labels.mean(), split.labels.std()))
    constant = TaskSplit(
        token_ids=split.token_ids,
        token_types=split.token_types,
        mask=split.mask,
        labels=np.full(len(split), 2.5, dtype=np.float32),
    )
    assert label_scale(named["regression"], constant) == (2.5, 1.0)


def test_the_losses_of_the_kinds_are_those_of_hand(spec: Any) -> None:
    named = {task.kind: task for task in spec.data.tasks}
    found = task_loss(named["regression"], torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0]))
    assert found.item() == pytest.approx(2.5)
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    found = task_loss(named["classification"], logits, torch.tensor([1, 0]))
    assert found.item() == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    span = torch.log(torch.tensor([[[0.5, 0.1], [0.25, 0.2], [0.25, 0.7]]]))
    found = task_loss(named["span"], span, torch.tensor([[1, 2]]))
    assert found.item() == pytest.approx(-(math.log(0.25) + math.log(0.7)) / 2)


def test_a_gradient_that_is_not_finite_behind_a_finite_loss_diverges_before_it_moves_anything(
    networks: Any, batches: Batches, tmp_path: Path
) -> None:
    recipe = PreTraining(steps=5, batch_size=6, optimizer=Optimizer(learning_rate=PEAK))
    stage = pretraining_stage(networks[0], None, batches, recipe, 0)
    plain = stage.loss
    weight = networks[0].encoder.blocks[0].attention.query.weight
    before = {name: tensor.clone() for name, tensor in networks[0].state_dict().items()}

    def poisoned(step: int) -> Tensor:
        return plain(step) + (weight.sum() - weight.detach().sum()).sqrt()  # 0, with an infinite derivative

    with pytest.raises(DivergedError, match=r"^the gradient norm became (inf|nan) in stage pre-training at step 0$"):
        run_stage(stage._replace(loss=poisoned), Position(), Keeper(path=tmp_path / "a"), {})
    assert all(torch.equal(tensor, before[name]) for name, tensor in networks[0].state_dict().items())
