"""Reduced precision: off unless asked for, and float32 where a map must not be rounded."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model_zoo.encoder import Encoder
from search.distillation.logits import soft_logits_loss
from search.distillation.losses import (
    attention_transfer_cross_entropy,
    attention_transfer_loss,
    feature_map_loss,
    feature_map_loss_normalised,
)
from search.training.acceleration import OFF, Acceleration
from search.training.loop import Keeper
from search.training.precision import autocast, in_precision
from search.training.train import train
from search.trial import TrialSpec

CPU = torch.device("cpu")


@pytest.fixture
def inputs(spec: TrialSpec) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    ids = torch.randint(0, spec.student.vocab_size, (3, 8))
    mask = torch.ones(3, 8, dtype=torch.bool)
    mask[0, 5:] = False
    return ids, mask, torch.zeros_like(ids)


def test_everything_is_off_by_default() -> None:
    assert (OFF.lookahead, OFF.outputs, OFF.precision) == (False, None, "float32")
    assert in_precision(sum, "float32", CPU) is sum  # type: ignore[arg-type, comparison-overlap]


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_float16_is_refused_with_the_reason(precision: Any) -> None:
    with pytest.raises(ValueError, match=rf"^precision must be float32 or bfloat16, got '{precision}' \(float16 is re"):
        Acceleration(precision=precision)


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^outputs_bytes must be at least 0, got -1$"):
        Acceleration(outputs_bytes=-1)


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_in_bfloat16_products_are_rounded_and_maps_between_blocks_are_float32(
    spec: TrialSpec, inputs: Any, role: str
) -> None:
    assert spec.teacher is not None
    encoder = Encoder(spec.student if role == "student" else spec.teacher.student).eval()
    products = []
    for module in encoder.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda module, given, result: products.append(result.dtype))
    with torch.no_grad():
        exact = encoder(*inputs, scores=True)
        products.clear()
        with autocast("bfloat16", CPU):
            rounded = encoder(*inputs, scores=True)
    assert set(products) == {torch.bfloat16}
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    for one, other in zip(exact.feature_maps, rounded.feature_maps, strict=True):
        assert other.dtype == torch.float32
        assert 0 < (one - other).abs().max() < 0.05 * one.abs().max()


def test_a_training_in_bfloat16_ends_near_the_one_in_float32(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    outcomes = []
    for on in (OFF, Acceleration(precision="bfloat16"), Acceleration(precision="bfloat16", lookahead=True)):
        keeper = Keeper(path=tmp_path / str(len(outcomes)), seconds=1e9)
        outcomes.append(train(spec, data, keeper=keeper, teacher_weights=teacher_weights, acceleration=on))
    exact, rounded, ahead = ([point.value for point in outcome.curves] for outcome in outcomes)
    assert rounded == pytest.approx(exact, rel=0.1)
    assert rounded != exact
    assert ahead == rounded
    assert {tensor.dtype for tensor in outcomes[1].weights.values()} == {torch.float32}


def test_losses_under_autocast_are_those_of_float32() -> None:
    """torch.linalg.vecdot, for one, would be computed in bfloat16 there."""
    torch.manual_seed(0)
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    maps, scores, logits = (torch.randn(2, *shape) for shape in ((2, 5, 8), (2, 3, 5, 5), (6, 4)))
    losses = {
        "feature maps": lambda: feature_map_loss(*maps, mask),
        "normalised maps": lambda: feature_map_loss_normalised(*maps, mask),
        "attention": lambda: attention_transfer_loss(*scores, mask, average_heads=False),
        "mean attention": lambda: attention_transfer_loss(*scores, mask, average_heads=True),
        "cross-entropy of attention": lambda: attention_transfer_cross_entropy(*scores, mask, average_heads=False),
        "soft logits": lambda: soft_logits_loss(*logits, 2.0),
    }
    for name, loss in losses.items():
        with torch.autocast("cpu", torch.bfloat16):
            found = loss()
        assert found.dtype == torch.float32, name
        torch.testing.assert_close(found, loss(), msg=name)
