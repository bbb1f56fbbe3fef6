"""NoNorm scales and shifts each channel and looks at nothing else."""

from typing import Any

import torch

from model_zoo.norm import NoNorm, make_norm


def test_no_norm_is_gamma_times_h_plus_beta_per_channel() -> None:
    norm = NoNorm(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 0.0, -1.0]))
        norm.bias.copy_(torch.tensor([0.5, 1.0, 0.0]))
    hidden = torch.tensor([[[1.0, 2.0, 3.0], [-4.0, 5.0, 6.0]]])
    assert norm(hidden).tolist() == [[[2.5, 1.0, -3.0], [-7.5, 1.0, -6.0]]]


def test_no_norm_starts_as_the_identity() -> None:
    hidden = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(NoNorm(7)(hidden), hidden)


def test_layer_norm_has_the_epsilon_of_the_config(small: Any) -> None:
    norm = make_norm(small(norm_epsilon=1e-3), 4)
    hidden = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    variance = hidden.var(correction=0)
    assert torch.allclose(norm(hidden), (hidden - hidden.mean()) / (variance + 1e-3).sqrt())


def test_the_config_chooses_the_norm(small: Any) -> None:
    assert isinstance(make_norm(small(norm="no_norm"), 4), NoNorm)
    assert isinstance(make_norm(small(norm="layer_norm"), 4), torch.nn.LayerNorm)
