"""Multi-head self-attention whose queries, keys and values may come from different maps."""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.config import EncoderConfig
from model_zoo.cost import attention_input_sizes
from model_zoo.norm import make_norm


class Attended(NamedTuple):
    """Result of one attention layer; `scores` only when asked for."""

    hidden: Float[Tensor, "batch seq narrow"]
    scores: Float[Tensor, "batch heads query key"] | None


class Attention(nn.Module):
    """Scaled dot-product attention, then dense, residual and norm (Vaswani et al. 2017; scale 1 / sqrt(head size)).

    Scores are those before the softmax, the additive mask included.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        query_key, value = attention_input_sizes(config)
        narrow = config.bottleneck_size
        self.num_heads, self.head_size = config.num_heads, config.head_size
        self.query = nn.Linear(query_key, narrow)
        self.key = nn.Linear(query_key, narrow)
        self.value = nn.Linear(value, narrow)
        self.output = nn.Linear(narrow, narrow)
        self.norm = make_norm(config, narrow)
        self.attention_dropout = config.attention_dropout
        # Plain BERT drops here; with bottlenecks only the output bottleneck does (google-research/mobilebert
        # modeling.py).
        self.dropout = nn.Dropout(0.0 if config.use_bottleneck else config.hidden_dropout)

    def forward(
        self,
        query_key: Float[Tensor, "batch seq query_key"],
        value: Float[Tensor, "batch seq value"],
        residual: Float[Tensor, "batch seq narrow"],
        bias: Float[Tensor, "batch 1 1 seq"],
        scores: bool,
    ) -> Attended:
        """`bias` is added to the scores: 0 at real keys, a large negative number at padding."""
        queries, keys, values = self.query(query_key), self.key(query_key), self.value(value)
        queries, keys, values = (self._split(part) for part in (queries, keys, values))
        raw = None
        drop = self.attention_dropout if self.training else 0.0
        if scores:
            raw = queries @ keys.transpose(-1, -2) / math.sqrt(self.head_size) + bias
            context = functional.dropout(raw.softmax(-1), drop) @ values
        else:
            context = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias, dropout_p=drop)
        context = context.transpose(1, 2).flatten(2)  # (batch, seq, heads * head_size)
        hidden: Tensor = self.norm(residual + self.dropout(self.output(context)))
        return Attended(hidden, raw)

    def _split(self, maps: Float[Tensor, "batch seq narrow"]) -> Float[Tensor, "batch heads seq head_size"]:
        batch, seq, _ = maps.shape
        return maps.view(batch, seq, self.num_heads, self.head_size).transpose(1, 2)  # (batch, heads, seq, head_size)
