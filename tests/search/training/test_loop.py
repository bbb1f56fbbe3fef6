"""The training loop's own arithmetic: clipping is torch's."""

import math

import pytest
import torch

from search.training.loop import clip


@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e6])
def test_clipping_is_torchs_to_the_last_bit(limit: float) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(size, generator=generator) for size in ((3, 4), (5,), (2, 2, 2))]
    parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in ours]
    for parameter, gradient in zip(parameters, ours, strict=True):
        parameter.grad = gradient.clone()
    assert clip(ours, limit) == torch.nn.utils.clip_grad_norm_(parameters, limit).item()
    for parameter, gradient in zip(parameters, ours, strict=True):
        assert parameter.grad is not None and torch.equal(gradient, parameter.grad)


def test_gradients_that_are_not_finite_are_left_for_the_loop_to_see() -> None:
    assert math.isnan(clip([torch.tensor([1.0, math.nan])], 1.0))
    assert math.isinf(clip([torch.tensor([1.0, math.inf])], 1.0))
    assert clip([], 1.0) == 0.0
