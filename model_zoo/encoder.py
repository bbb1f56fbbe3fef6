"""`Encoder(config)`: one class for every architecture that `EncoderConfig` spans."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model_zoo.attention import Attention
from model_zoo.config import EncoderConfig
from model_zoo.embedding import Embedding
from model_zoo.feed_forward import make_feed_forward
from model_zoo.norm import make_norm

# Added to the scores of padded keys. Finite, so that a row without any real key gives numbers, not NaN; float32 exp()
# of it is exactly 0. The released code used -10000 first and -6 later (for quantisation), see the docstring of
# `Encoder`.
MASKED_SCORE = -10000.0


class EncoderOutput(NamedTuple):
    """What an encoder returns."""

    embedded: Float[Tensor, "batch seq hidden"]
    feature_maps: tuple[Tensor, ...]
    """Output of each block that ran, each (batch, seq, hidden_size); the last one is the encoder's result."""
    attention_scores: tuple[Tensor, ...]
    """Scores before the softmax of each block that ran, each (batch, heads, query, key); empty unless asked for."""


class Bottleneck(nn.Module):
    """norm(dense(x)), no activation: from h_inter to h_intra."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.bottleneck_size)
        self.norm = make_norm(config, config.bottleneck_size)

    def forward(self, hidden: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch seq narrow"]:
        result: Tensor = self.norm(self.dense(hidden))
        return result


class OutputBottleneck(nn.Module):
    """norm(block input + dropout(dense(x))): from h_intra back to h_inter."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.bottleneck_size, config.hidden_size)
        self.norm = make_norm(config, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(
        self, narrow: Float[Tensor, "batch seq narrow"], block_input: Float[Tensor, "batch seq hidden"]
    ) -> Float[Tensor, "batch seq hidden"]:
        result: Tensor = self.norm(block_input + self.dropout(self.dense(narrow)))
        return result


class Block(nn.Module):
    """One block (Sun et al. 2020, Figure 1; google-research/mobilebert modeling.py), or one plain post-norm BERT
    layer."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention_input = config.attention_input
        self.input_bottleneck = Bottleneck(config) if config.use_bottleneck else nn.Identity()
        if config.attention_input == "shared_bottleneck":
            self.query_key_bottleneck = Bottleneck(config)
        self.attention = Attention(config)
        last = config.num_feed_forward - 1
        self.feed_forward = nn.ModuleList(make_feed_forward(config, last=index == last) for index in range(last + 1))
        self.output_bottleneck = OutputBottleneck(config) if config.use_bottleneck else None

    def forward(
        self, block_input: Float[Tensor, "batch seq hidden"], bias: Float[Tensor, "batch 1 1 seq"], scores: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Returns (feature map, scores or None)."""
        narrow = self.input_bottleneck(block_input)
        query_key = value = block_input
        if self.attention_input == "shared_bottleneck":
            query_key = self.query_key_bottleneck(block_input)
        elif self.attention_input == "bottleneck":
            query_key = value = narrow
        hidden, raw = self.attention(query_key, value, narrow, bias, scores)
        for feed_forward in self.feed_forward:
            hidden = feed_forward(hidden)
        return (hidden if self.output_bottleneck is None else self.output_bottleneck(hidden, block_input)), raw


class Encoder(nn.Module):
    """Embeddings and blocks.

    Padding is masked by adding -10000 to the scores of padded keys (the first release's convention, and BERT's), and by
    zeroing padded embeddings before the trigram: padding never changes a real position.
    Kernels and tables start from a normal distribution of standard deviation `initializer_range` cut at two standard
    deviations, biases at 0, norms at scale 1 and shift 0 (google-research/mobilebert; reference section 2.6).

    >>> import torch
    >>> from model_zoo.config import EncoderConfig
    >>> config = EncoderConfig(num_layers=2, hidden_size=8, bottleneck_size=4, num_heads=2, feed_forward_size=16,
    ...                        embedding_size=4, vocab_size=50, max_positions=16)
    >>> ids = torch.zeros(3, 5, dtype=torch.long)
    >>> output = Encoder(config)(ids, torch.ones(3, 5, dtype=torch.bool), ids, scores=True)
    >>> output.feature_maps[-1].shape, output.attention_scores[0].shape
    (torch.Size([3, 5, 8]), torch.Size([3, 2, 5, 5]))
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.apply(lambda module: initialize(module, config.initializer_range))

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        token_types: Int[Tensor, "batch seq"],
        *,
        scores: bool = False,
        num_blocks: int | None = None,
    ) -> EncoderOutput:
        """Run the embeddings and the first `num_blocks` blocks (all of them when it is left out).

        Args:
            token_ids: vocabulary ids.
            mask: True at real tokens, False at padding.
            token_types: 0 for the first text, 1 for the second; not read where `num_token_types` is 0.
            scores: whether to return the attention scores.
        """
        weights = mask.to(self.embedding.positions.weight.dtype)
        bias = ((1.0 - weights) * MASKED_SCORE)[:, None, None, :]  # (batch, 1, 1, seq)
        embedded = hidden = self.embedding(token_ids, weights[:, :, None], token_types)
        feature_maps: list[Tensor] = []
        attention_scores: list[Tensor] = []
        for block in list(self.blocks)[:num_blocks]:
            hidden, raw = block(hidden, bias, scores)
            feature_maps.append(hidden)
            if raw is not None:
                attention_scores.append(raw)
        return EncoderOutput(embedded, tuple(feature_maps), tuple(attention_scores))


def initialize(module: nn.Module, standard_deviation: float) -> None:
    """Start one module's parameters as BERT does; torch's defaults (tables with standard deviation 1) drown the
    tokens."""
    if isinstance(module, nn.Linear | nn.Embedding):
        bound = 2 * standard_deviation
        nn.init.trunc_normal_(module.weight, std=standard_deviation, a=-bound, b=bound)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def count_parameters(module: nn.Module) -> int:
    """Trainable scalars of a built module; shared tensors count once."""
    return sum(parameter.numel() for parameter in module.parameters())


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's first parameter."""
    return next(module.parameters()).device
