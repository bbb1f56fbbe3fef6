"""Products by oneDNN: torch's values and gradients within rounding, and a training that can be interrupted."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.config import EncoderConfig
from model_zoo.networks import PreTrainingNetwork
from search.training import products
from search.training.acceleration import OFF, Acceleration
from search.training.loop import Keeper
from search.training.products import FastLinear, FrozenLinearGelu, fast_products, product, with_products
from search.training.train import Outcome, train

pytestmark = pytest.mark.skipif(not products.has_onednn(), reason="needs a torch with oneDNN on an x86 processor")

CPU = torch.device("cpu")
ON = Acceleration(products="onednn")


@pytest.fixture
def all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product by oneDNN, as those of tests are small."""
    monkeypatch.setattr(products, "SMALLEST", 0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of the left sides that oneDNN multiplied."""
    found: list[tuple[int, ...]] = []
    real = products._multiply

    def spy(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
        found.append(tuple(left.shape))
        return real(left, right, bias)

    monkeypatch.setattr(products, "_multiply", spy)
    yield found


def operands(shape: tuple[int, ...], outputs: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = (shape, (outputs, shape[-1]), (outputs,))
    return [torch.randn(size, generator=generator, dtype=dtype).requires_grad_() for size in sizes]


@pytest.mark.usefixtures("all_sizes")
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7), (2, 3, 5, 7), (1, 1)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_value_and_gradients_are_those_of_a_product_in_float64(
    shape: tuple[int, ...], with_bias: bool, counted: list[tuple[int, ...]]
) -> None:
    hidden, weight, bias = operands(shape, 6)
    given = (hidden, weight, bias) if with_bias else (hidden, weight)
    exact = [tensor.detach().double().requires_grad_() for tensor in given]
    value, truth = product(*given), functional.linear(*exact)
    torch.testing.assert_close(value, truth.float())
    wanted = torch.randn(truth.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(value, given, wanted.float())
    for one, other in zip(found, torch.autograd.grad(truth, exact, wanted), strict=True):
        torch.testing.assert_close(one, other.float())
    assert len(counted) == 3  # the value and two gradients: nothing was torch's own


@pytest.mark.usefixtures("all_sizes")
def test_a_gradient_that_is_not_contiguous_is_read_as_it_stands() -> None:
    hidden, weight, bias = operands((4, 5, 7), 6)
    wanted = torch.randn(6, 5, 4).permute(2, 1, 0)
    found = torch.autograd.grad(product(hidden, weight, bias), (hidden, weight, bias), wanted)
    truth = torch.autograd.grad(functional.linear(hidden, weight, bias), (hidden, weight, bias), wanted)
    for one, other in zip(found, truth, strict=True):
        torch.testing.assert_close(one, other)


def test_small_products_and_other_types_are_torchs_own(counted: list[tuple[int, ...]]) -> None:
    small = operands((64, 64), 64)
    assert torch.equal(product(*small), functional.linear(*small))
    wide = operands((64, 256), 256, torch.float64)
    assert torch.equal(product(*wide), functional.linear(*wide))
    assert torch.autograd.gradcheck(product, operands((3, 4), 2, torch.float64))
    assert counted == []
    product(*operands((64, 256), 256))
    assert counted == [(64, 256)]


def network(**fields: Any) -> PreTrainingNetwork:
    torch.manual_seed(0)
    config = EncoderConfig(
        num_layers=2,
        hidden_size=16,
        bottleneck_size=24,
        num_heads=2,
        feed_forward_size=32,
        embedding_size=8,
        vocab_size=50,
        max_positions=8,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        **{"activation": "gelu", "initializer_range": 0.3, **fields},
    )
    return PreTrainingNetwork(config).eval()


def answers(of: PreTrainingNetwork) -> list[Tensor]:
    ids = torch.arange(24).view(3, 8)
    mask = torch.ones(3, 8, dtype=torch.bool)
    mask[0, 5:] = False
    logits = of(ids, mask, ids * 0, torch.tensor([1, 9, 17]))
    return [logits.masked_language, logits.next_sentence]


@pytest.mark.usefixtures("all_sizes")
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_network_keeps_its_names_its_values_and_its_answers(frozen: bool, activation: str) -> None:
    slow = network(activation=activation).requires_grad_(not frozen)
    fast = copy.deepcopy(slow)
    fast_products(fast, ON, CPU)
    fused = sum(isinstance(module, FrozenLinearGelu) for module in fast.modules())
    assert fused == (2 if frozen and activation == "gelu" else 0)
    assert any(isinstance(module, FastLinear) for module in fast.modules())
    assert list(fast.state_dict()) == list(slow.state_dict())
    for one, other in zip(answers(fast), answers(slow), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("all_sizes")
def test_a_frozen_network_that_learns_again_has_its_gradients() -> None:
    slow = network()
    fast = copy.deepcopy(slow).requires_grad_(False)
    fast_products(fast, ON, CPU)
    fast.requires_grad_(True)
    for one in (slow, fast):
        sum(answer.square().sum() for answer in answers(one)).backward()  # type: ignore[union-attr]
    for one, other in zip(slow.parameters(), fast.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-5 * float(one.grad.abs().max()) + 1e-5)


@pytest.mark.parametrize(
    ("on", "device"),
    [
        (OFF, "cpu"),
        (replace(ON, precision="bfloat16"), "cpu"),
        (replace(ON, compiled="blocks"), "cpu"),
        (ON, "cuda"),
    ],
)
def test_nothing_changes_where_another_form_is_asked_for(on: Acceleration, device: str) -> None:
    plain = network()
    fast_products(plain, on, torch.device(device))
    assert {type(module) for module in plain.modules() if isinstance(module, nn.Linear)} == {nn.Linear}
    assert plain.masked_language.product is functional.linear


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [
        (OFF, "cpu", "onednn"),
        (Acceleration(lookahead=True), "cpu", "onednn"),
        (OFF, "cuda", "torch"),
        (Acceleration(precision="bfloat16"), "cpu", "torch"),
        (Acceleration(compiled="blocks"), "cpu", "torch"),
    ],
)
def test_a_worker_multiplies_by_onednn_where_nothing_else_replaces_it(
    asked: Acceleration, device: str, expected: str
) -> None:
    found = with_products(asked, device)
    assert found == replace(asked, products=expected)  # type: ignore[arg-type]


def test_a_worker_without_onednn_multiplies_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "has_onednn", lambda: False)
    assert with_products(OFF, "cpu") == OFF


class Interrupted(Exception):
    """Stands for a killed process."""


def outcome(spec: Any, data: Any, weights: Any, keeper: Keeper, on: Acceleration = ON) -> Outcome:
    return train(spec, data, keeper=keeper, teacher_weights=weights, acceleration=on)


@pytest.mark.usefixtures("all_sizes")
@pytest.mark.parametrize("after", [2, 6, 11, 14])
def test_a_training_goes_on_from_a_checkpoint_bit_for_bit_and_is_near_torchs(
    spec: Any, data: Any, teacher_weights: Any, tmp_path: Path, after: int
) -> None:
    def tell(stage: str, updates: int) -> None:
        if updates == after:
            raise Interrupted

    whole = outcome(spec, data, teacher_weights, Keeper(path=tmp_path / "whole", seconds=1e9))
    with pytest.raises(Interrupted):
        outcome(spec, data, teacher_weights, Keeper(path=tmp_path / "cut", seconds=0.0, tell=tell))
    resumed = outcome(spec, data, teacher_weights, Keeper(path=tmp_path / "cut", seconds=1e9))
    assert resumed.curves == whole.curves
    assert all(torch.equal(tensor, resumed.weights[name]) for name, tensor in whole.weights.items())

    plain = outcome(spec, data, teacher_weights, Keeper(path=tmp_path / "plain", seconds=1e9), OFF)
    for one, other in zip(whole.curves, plain.curves, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-3)


def test_products_must_be_a_library_that_is_known() -> None:
    with pytest.raises(ValueError, match="products must be torch or onednn, got 'mkl'"):
        Acceleration(products="mkl")  # type: ignore[arg-type]
