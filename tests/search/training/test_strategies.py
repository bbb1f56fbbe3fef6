"""What each strategy of knowledge transfer moves, at which rate, and by which loss."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model_zoo.encoder import Encoder
from model_zoo.networks import PreTrainingNetwork, copy_from_teacher
from search.distillation.losses import attention_transfer_loss, feature_map_loss, feature_map_loss_normalised
from search.distillation.tinybert import attention_score_loss, projected_map_loss
from search.recipe import KnowledgeTransfer, Optimizer, PreTraining
from search.training.loop import Keeper, Position, run_stage
from search.training.pretraining import auxiliary_stage, pretraining_stage
from search.training.stages import Batches, Stage, groups_by_depth, scheduled_rates
from search.training.transfer import transfer_stage

PEAK = 0.01
RATE = Optimizer(kind="lamb", learning_rate=PEAK, warmup=0.5, final_share=0.2)


class Recorded:
    """After every step of a stage: what it moved, and the learning rate of each group."""

    def __init__(self, stage: Stage, path: Path) -> None:
        self.rates: list[list[float]] = []
        self.moved: list[set[str]] = []
        before = self.copy(stage)

        def tell(name: str, updates: int) -> None:
            nonlocal before
            after = self.copy(stage)
            self.moved.append({key for key in before if not torch.equal(before[key], after[key])})
            self.rates.append([group["lr"] for group in stage.optimizer.param_groups])
            before = after

        run_stage(stage, Position(), Keeper(path=path, seconds=1e9, tell=tell), {})

    @staticmethod
    def copy(stage: Stage) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in stage.network.state_dict().items()}


@pytest.fixture
def networks(spec: Any, teacher_weights: Any) -> tuple[PreTrainingNetwork, PreTrainingNetwork]:
    """A student that has copied its teacher, and the teacher."""
    torch.manual_seed(0)
    teacher = PreTrainingNetwork(spec.teacher.student)
    teacher.load_state_dict({n.removeprefix("pretrained/"): t for n, t in teacher_weights.items() if n[0] == "p"})
    teacher.eval().requires_grad_(False)
    student = PreTrainingNetwork(spec.student)
    copy_from_teacher(student, teacher)
    return student.eval(), teacher


@pytest.fixture
def batches(data: Any) -> Batches:
    return Batches(data.pretraining, 7, 24, torch.device("cpu"))


def transfer(steps: int = 4, **fields: Any) -> KnowledgeTransfer:
    return KnowledgeTransfer(**({"steps": steps, "batch_size": 6, "optimizer": RATE} | fields))


def blocks_of(names: set[str]) -> set[str]:
    return {name.split(".")[2] for name in names if name.startswith("encoder.blocks.")}


@pytest.mark.parametrize("kind", ["lamb", "adamw"])
def test_with_a_hard_freeze_only_the_phases_block_moves_at_the_rates_of_the_table(
    networks: Any, batches: Batches, tmp_path: Path, kind: Any
) -> None:
    recipe = transfer(8, freeze="hard", optimizer=replace(RATE, kind=kind, weight_decay=0.1))
    recorded = Recorded(transfer_stage(*networks, batches, recipe), tmp_path / "a")
    # 3 PEAK (0.9 + 0.1 sqrt(1 - x)) at x = 1/4, 1/2, 3/4, 1 in a block's phase, 0 before and after it.
    phase = [0.02959807621135332, 0.02912132034355964, 0.0285, 0.027]
    table = [[rate, rate, 0.0, 0.0] for rate in phase] + [[0.0, 0.0, rate, rate] for rate in phase]
    assert recorded.rates == [pytest.approx(row, rel=1e-12) for row in table]
    for step, moved in enumerate(recorded.moved):
        assert blocks_of(moved) == {"0" if step < 4 else "1"}
        assert all(name.startswith("encoder.blocks.") for name in moved)


def test_with_a_hard_freeze_frozen_blocks_take_no_part_in_the_gradient(networks: Any, batches: Batches) -> None:
    stage = transfer_stage(*networks, batches, transfer(4, freeze="hard"))
    stage.loss(2).backward()
    for name, parameter in networks[0].encoder.blocks.named_parameters():
        assert (parameter.grad is not None) == name.startswith("1."), name


def test_joint_transfer_moves_all_blocks_and_nothing_else_at_the_rates_of_the_table(
    networks: Any, batches: Batches, tmp_path: Path
) -> None:
    recorded = Recorded(transfer_stage(*networks, batches, transfer(strategy="joint")), tmp_path / "a")
    # Two steps of warm-up, then from the peak towards a fifth of it.
    table = [PEAK / 3, 2 * PEAK / 3, PEAK, 0.6 * PEAK]
    assert recorded.rates == [pytest.approx([rate] * 4, rel=1e-12) for rate in table]
    for moved in recorded.moved:
        assert blocks_of(moved) == {"0", "1"}
        assert all(name.startswith("encoder.blocks.") for name in moved)


def test_auxiliary_transfer_is_one_stage_that_moves_everything_at_the_rates_of_the_table(
    networks: Any, batches: Batches, tmp_path: Path
) -> None:
    pre_training = PreTraining(steps=2, batch_size=6, optimizer=RATE, teacher_share=0.5)
    stage = auxiliary_stage(*networks, batches, transfer(2, strategy="auxiliary"), pre_training)
    assert (stage.name, stage.steps, stage.dropout) == ("auxiliary", 4, False)
    recorded = Recorded(stage, tmp_path / "a")
    table = [PEAK / 3, 2 * PEAK / 3, PEAK, 0.6 * PEAK]
    assert recorded.rates == [pytest.approx([rate] * 2, rel=1e-12) for rate in table]
    assert {name.split(".")[0] for name in recorded.moved[0]} == {"encoder", "masked_language", "next_sentence"}
    assert blocks_of(recorded.moved[0]) == {"0", "1"}


def block_losses(networks: Any, batches: Batches) -> list[float]:
    """Each block's loss on the first batch, from the objectives themselves."""
    student, teacher = networks
    batch = batches.get(0, 6)
    inputs = (batch.token_ids, batch.mask, batch.token_types)
    ours, theirs = (network.encoder(*inputs, scores=True) for network in (student, teacher))
    return [
        (
            feature_map_loss_normalised(ours.feature_maps[block], theirs.feature_maps[block], batch.mask)
            + attention_transfer_loss(
                ours.attention_scores[block], theirs.attention_scores[block], batch.mask, average_heads=False
            )
        ).item()
        for block in range(2)
    ]


def test_the_losses_of_joint_and_auxiliary_transfer_are_the_mean_over_blocks(networks: Any, batches: Batches) -> None:
    expected = sum(block_losses(networks, batches)) / 2
    joint = transfer_stage(*networks, batches, transfer(strategy="joint"))
    assert joint.loss(0).item() == pytest.approx(expected, rel=1e-6)
    pre_training = PreTraining(steps=2, batch_size=6, optimizer=RATE, teacher_share=0.5)
    alone = pretraining_stage(*networks, batches, pre_training, 0).loss(0).item()
    auxiliary = auxiliary_stage(*networks, batches, transfer(strategy="auxiliary"), pre_training)
    assert auxiliary.loss(0).item() == pytest.approx(alone + expected, rel=1e-5)


def test_a_factor_of_zero_computes_no_attention_scores(
    networks: Any, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    forward = Encoder.forward

    def spy(self: Encoder, *inputs: Any, scores: bool = False, num_blocks: int | None = None) -> Any:
        asked.append(scores)
        return forward(self, *inputs, scores=scores, num_blocks=num_blocks)

    monkeypatch.setattr(Encoder, "forward", spy)
    for strategy in ("progressive", "joint"):
        transfer_stage(*networks, batches, transfer(strategy=strategy, attention_factor=0.0)).loss(0)
    assert asked == [False] * 4
    transfer_stage(*networks, batches, transfer()).loss(0)
    assert asked[4:] == [True] * 2


def test_a_layer_map_compares_with_the_teachers_block_that_it_names(spec: Any, networks: Any, batches: Batches) -> None:
    torch.manual_seed(1)
    student, teacher = PreTrainingNetwork(replace(spec.student, num_layers=1)).eval(), networks[1]
    batch = batches.get(0, 6)
    inputs = (batch.token_ids, batch.mask, batch.token_types)
    ours, theirs = student.encoder(*inputs).feature_maps, teacher.encoder(*inputs).feature_maps
    for block in (0, 1):
        recipe = transfer(feature_map_form="paper", feature_map_factor=3.0, attention_factor=0.0, layer_map=(block,))
        expected = 3 * feature_map_loss(ours[0], theirs[block], batch.mask)
        found = transfer_stage(student, teacher, batches, recipe).loss(0)
        torch.testing.assert_close(found, expected)


def test_tinyberts_general_stage_is_its_three_objectives_through_one_projection(
    spec: Any, networks: Any, batches: Batches, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    student, teacher = PreTrainingNetwork(replace(spec.student, hidden_size=12)).eval(), networks[1]
    projection = nn.Linear(12, 16)
    recipe = transfer(
        strategy="joint",
        feature_map_form="paper",
        feature_map_factor=1.0,
        attention_form="scores",
        embedding_factor=1.0,
        projection=True,
        copied="nothing",
    )
    stage = transfer_stage(student, teacher, batches, recipe, projection)
    batch = batches.get(0, 6)
    inputs = (batch.token_ids, batch.mask, batch.token_types)
    ours, theirs = (network.encoder(*inputs, scores=True) for network in (student, teacher))
    pairs = zip((ours.embedded, *ours.feature_maps), (theirs.embedded, *theirs.feature_maps), strict=True)
    maps = [projected_map_loss(a, b, batch.mask, projection.weight, projection.bias) for a, b in pairs]
    scores = [
        attention_score_loss(a, b, batch.mask)
        for a, b in zip(ours.attention_scores, theirs.attention_scores, strict=True)
    ]
    torch.testing.assert_close(stage.loss(0), (sum(maps) + sum(scores)) / 2)
    moved = set.union(*Recorded(stage, tmp_path / "a").moved)
    assert {"projection.weight", "projection.bias", "network.encoder.embedding.tokens.weight"} <= moved
    assert not any(name.startswith(("network.masked_language", "network.next_sentence")) for name in moved)


def test_layer_decay_gives_every_depth_its_share_of_the_rate(networks: Any) -> None:
    network = networks[0]
    settings = Optimizer(learning_rate=1.0, warmup=0.0, layer_decay=0.5, decay_power=2.0)
    groups = groups_by_depth(network, network.encoder, settings)
    # Embeddings, block 0, block 1, heads; matrices and vectors of each.
    assert [group["factor"] for group in groups] == [0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    assert scheduled_rates(settings, 4, groups)(2) == pytest.approx([0.25 * group["factor"] for group in groups])
    found = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(found) == sorted(id(parameter) for parameter in network.parameters())
