"""LayerNorm or NoNorm, by the config's choice."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model_zoo.config import FRAMEWORK_EPSILON, EncoderConfig


class NoNorm(nn.Module):
    """gamma * h + beta per channel, no statistics (Sun et al. 2020, equation 1; gamma 1 and beta 0 at the start)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, hidden: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        return torch.addcmul(self.bias, hidden, self.weight)


def make_norm(
    config: EncoderConfig, size: int, *, place: Literal["embedding", "last feed-forward", "elsewhere"] = "elsewhere"
) -> nn.Module:
    """The config's norm for maps of `size` channels; `place` matters for `norm_epsilon_places` only."""
    if config.norm == "no_norm":
        return NoNorm(size)
    exempt = config.norm_epsilon_places == "transformers" and place != "elsewhere"
    return nn.LayerNorm(size, eps=FRAMEWORK_EPSILON if exempt else config.norm_epsilon)
