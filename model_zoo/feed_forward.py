"""One feed-forward network with its residual and norm; a block stacks several."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.config import EncoderConfig
from model_zoo.norm import make_norm
from model_zoo.own_feed_forward import build

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": functional.gelu, "relu": functional.relu}


class FeedForward(nn.Module):
    """norm(x + dense(activation(dense(x)))) (Sun et al. 2020, section 3.2)."""

    def __init__(self, config: EncoderConfig, *, last: bool) -> None:
        """`last` says whether it is the last of its block's stack."""
        super().__init__()
        self.inner = nn.Linear(config.bottleneck_size, config.feed_forward_size)
        self.outer = nn.Linear(config.feed_forward_size, config.bottleneck_size)
        self.norm = make_norm(config, config.bottleneck_size, place="last feed-forward" if last else "elsewhere")
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = nn.Dropout(0.0 if config.use_bottleneck else config.hidden_dropout)

    def forward(self, hidden: Float[Tensor, "batch seq narrow"]) -> Float[Tensor, "batch seq narrow"]:
        result: Tensor = self.norm(hidden + self.dropout(self.outer(self.activation(self.inner(hidden)))))
        return result


class OwnFeedForward(nn.Module):
    """norm(x + own(x)), own being code of the user's; its dense layers start as all others do."""

    def __init__(self, config: EncoderConfig, *, last: bool) -> None:
        """`last` says whether it is the last of its block's stack."""
        super().__init__()
        self.own = build(config)
        self.norm = make_norm(config, config.bottleneck_size, place="last feed-forward" if last else "elsewhere")
        self.dropout = nn.Dropout(0.0 if config.use_bottleneck else config.hidden_dropout)

    def forward(self, hidden: Float[Tensor, "batch seq narrow"]) -> Float[Tensor, "batch seq narrow"]:
        result: Tensor = self.norm(hidden + self.dropout(self.own(hidden)))
        return result


def make_feed_forward(config: EncoderConfig, *, last: bool) -> nn.Module:
    """One feed-forward of the config's kind; `last` says whether it is the last of its block's stack."""
    kind = FeedForward if config.feed_forward == "dense" else OwnFeedForward
    return kind(config, last=last)
