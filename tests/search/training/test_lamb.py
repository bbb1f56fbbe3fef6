"""LAMB against a slow reference in float64, its groups, its state, and its refusals."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from search.training.lamb import Lamb

SHAPES = ((4, 3), (5,), (2, 2, 2), ())


def tensors(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def reference_step(
    weight: list[float], gradient: list[float], state: dict[str, Any], *, lr: float, adapt: bool, corrected: bool
) -> list[float]:
    """One step of one flat tensor, number by number, straight from the paper's Algorithm 2."""
    state["t"] = state.get("t", 0) + 1
    update = []
    for i, g in enumerate(gradient):
        m = state[f"m{i}"] = 0.9 * state.get(f"m{i}", 0.0) + 0.1 * g
        v = state[f"v{i}"] = 0.999 * state.get(f"v{i}", 0.0) + 0.001 * g * g
        if corrected:
            m, v = m / (1 - 0.9 ** state["t"]), v / (1 - 0.999 ** state["t"])
        update.append(m / (math.sqrt(v) + 1e-6) + (0.01 * weight[i] if adapt else 0.0))
    ratio = 1.0
    weight_norm, update_norm = math.hypot(*weight), math.hypot(*update)
    if adapt and weight_norm > 0 and update_norm > 0:
        ratio = weight_norm / update_norm
    return [w - lr * ratio * u for w, u in zip(weight, update, strict=True)]


@pytest.mark.parametrize("corrected", [False, True])
def test_every_step_is_that_of_a_slow_reference_in_float64(corrected: bool) -> None:
    adapted, plain = ([torch.nn.Parameter(value) for value in tensors(seed)] for seed in (0, 1))
    groups = [{"params": adapted}, {"params": plain, "adapt": False, "lr": 0.03}]
    optimizer = Lamb(groups, lr=0.01, bias_correction=corrected)
    expected = [parameter.detach().flatten().tolist() for parameter in (*adapted, *plain)]
    states: list[dict[str, Any]] = [{} for _ in expected]
    for step in range(20):
        gradients = [*tensors(100 + step), *tensors(200 + step)]
        for i, parameter in enumerate((*adapted, *plain)):
            parameter.grad = gradients[i]
            is_adapted = i < len(adapted)
            expected[i] = reference_step(
                expected[i],
                gradients[i].flatten().tolist(),
                states[i],
                lr=0.01 if is_adapted else 0.03,
                adapt=is_adapted,
                corrected=corrected,
            )
        optimizer.step()
        for parameter, numbers in zip((*adapted, *plain), expected, strict=True):
            wanted = torch.tensor(numbers, dtype=torch.float64).reshape(parameter.shape)
            torch.testing.assert_close(parameter.detach(), wanted, rtol=1e-10, atol=1e-12)


def test_without_adaptation_and_with_bias_correction_it_is_adam() -> None:
    ours, theirs = (torch.nn.Parameter(tensors(0)[0]) for _ in range(2))
    lamb = Lamb([ours], lr=0.01, adapt=False, bias_correction=True)
    adam = torch.optim.Adam([theirs], lr=0.01, eps=1e-6)
    for step in range(5):
        ours.grad = theirs.grad = tensors(step + 1)[0]
        lamb.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("start", "gradient"), [(0.0, 1.0), (2.0, 0.0)])
def test_the_trust_ratio_is_one_where_weights_or_update_are_zero(start: float, gradient: float) -> None:
    weight = torch.nn.Parameter(torch.full((3,), start, dtype=torch.float64))
    weight.grad = torch.full((3,), gradient, dtype=torch.float64)
    Lamb([weight], lr=0.1, weight_decay=0.0).step()
    update = 0.1 * gradient / (math.sqrt(0.001) * gradient + 1e-6)
    torch.testing.assert_close(weight.detach(), torch.full((3,), start - 0.1 * update, dtype=torch.float64))


def test_a_group_with_rate_zero_and_a_parameter_without_gradient_are_left_as_they_are() -> None:
    frozen, unused, moved = (torch.nn.Parameter(value) for value in tensors(0)[:3])
    before = [parameter.detach().clone() for parameter in (frozen, unused, moved)]
    frozen.grad, moved.grad = torch.ones_like(frozen), torch.ones_like(moved)
    optimizer = Lamb([{"params": [frozen], "lr": 0.0}, {"params": [unused, moved]}], lr=0.1)
    optimizer.step()
    assert torch.equal(frozen, before[0]) and torch.equal(unused, before[1]) and not torch.equal(moved, before[2])
    assert set(optimizer.state) == {moved}


def test_training_goes_on_bit_for_bit_from_a_saved_state() -> None:
    def run(parameters: list[torch.nn.Parameter], optimizer: Lamb, steps: range) -> None:
        for step in steps:
            for parameter, gradient in zip(parameters, tensors(10 + step), strict=True):
                parameter.grad = gradient
            optimizer.step()

    def fresh(values: list[Tensor]) -> tuple[list[torch.nn.Parameter], Lamb]:
        parameters = [torch.nn.Parameter(value.detach().clone()) for value in values]
        groups = [{"params": parameters[:2]}, {"params": parameters[2:], "adapt": False}]
        return parameters, Lamb(groups, lr=0.02, bias_correction=True)

    whole, optimizer = fresh(tensors(0))
    run(whole, optimizer, range(3))
    saved, resumed = copy.deepcopy(optimizer.state_dict()), fresh([parameter.data for parameter in whole])
    run(whole, optimizer, range(3, 6))
    resumed[1].load_state_dict(saved)
    run(*resumed, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed[0], strict=True))


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = Lamb([weight], lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 5.0
    assert weight.square().sum().item() < 5.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1.0}, r"lr must be at least 0 and finite, got -1\.0"),
        ({"lr": math.nan}, "lr must be at least 0 and finite, got nan"),
        ({"lr": 0.1, "betas": (0.9, 1.0)}, r"betas must be at least 0 and below 1, got \(0\.9, 1\.0\)"),
        ({"lr": 0.1, "epsilon": 0.0}, r"epsilon must be above 0 and finite, got 0\.0"),
        ({"lr": 0.1, "weight_decay": -0.1}, r"weight_decay must be at least 0 and finite, got -0\.1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lamb([torch.nn.Parameter(torch.ones(1))], **arguments)


def timm_step(
    weights: list[Tensor], gradients: list[Tensor], state: dict[str, Any], *, lr: float, decay: float
) -> list[Tensor]:
    """One step of timm's Lamb (timm/optim/lamb.py of 1.0.31, defaults: bias correction, averaged gradients, global norm
    clipped to 1, no trust ratio for groups without decay), written out in float64.

    timm itself is no dependency: it needs torchvision, whose builds are tied to other builds of torch.
    """
    state["t"] = t = state.get("t", 0) + 1
    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
    after = []
    for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
        g = gradient / max(norm, 1.0)
        m = state[f"m{i}"] = 0.9 * state.get(f"m{i}", torch.zeros_like(weight)) + 0.1 * g
        v = state[f"v{i}"] = 0.999 * state.get(f"v{i}", torch.zeros_like(weight)) + 0.001 * g * g
        update = (m / (1 - 0.9**t)) / (v.sqrt() / math.sqrt(1 - 0.999**t) + 1e-6)
        if decay:
            update = update + decay * weight
            weight_norm, update_norm = weight.norm().item(), update.norm().item()
            update = update * (weight_norm / update_norm if weight_norm > 0 and update_norm > 0 else 1.0)
        after.append(weight - lr * update)
    return after


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_with_bias_correction_and_clipping_it_is_timms_step_by_step(decay: float) -> None:
    parameters = [torch.nn.Parameter(value) for value in tensors(0)]
    optimizer = Lamb(parameters, lr=0.01, weight_decay=decay, adapt=decay > 0, bias_correction=True)
    expected, state = [parameter.detach().clone() for parameter in parameters], dict[str, Any]()
    for step in range(20):
        gradients = [3.0 * value for value in tensors(50 + step)]
        expected = timm_step(expected, gradients, state, lr=0.01, decay=decay)
        norm = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients]))
        assert norm > 1  # clipped: by the training loop here, in the optimizer there
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient / norm
        optimizer.step()
        for parameter, wanted in zip(parameters, expected, strict=True):
            torch.testing.assert_close(parameter.detach(), wanted, rtol=1e-10, atol=1e-12)
