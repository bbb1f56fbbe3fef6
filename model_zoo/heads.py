"""Heads on top of an encoder: masked language, next sentence, classification, regression, span."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_zoo.config import EncoderConfig
from model_zoo.encoder import initialize
from model_zoo.feed_forward import ACTIVATIONS


class MaskedLanguageHead(nn.Module):
    """Vocabulary logits at chosen positions (google-research/mobilebert run_pretraining.py).

    Dense, activation, a true LayerNorm even where the encoder has NoNorm, then the word table (tied) beside an extra
    matrix of hidden_size - embedding_size columns. Not part of the encoder's published parameter count.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        extra = config.hidden_size - config.embedding_size
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.activation]
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.extra = nn.Parameter(torch.empty(config.vocab_size, extra)) if extra else None
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.product: Callable[..., Tensor] = nn.functional.linear
        initialize(self.dense, config.initializer_range)
        if self.extra is not None:
            nn.init.trunc_normal_(self.extra, std=config.initializer_range)

    def forward(
        self,
        feature_map: Float[Tensor, "batch seq hidden"],
        positions: Int[Tensor, " masked"],
        table: Float[Tensor, "vocab embedding"],
    ) -> Float[Tensor, "masked vocab"]:
        """`positions` index the flattened (batch * seq) tokens; `table` is the encoder's word table."""
        chosen = feature_map.flatten(0, 1)[positions]  # (masked, hidden)
        matrix = table if self.extra is None else torch.cat((table, self.extra), dim=1)  # (vocab, hidden)
        return self.product(self.norm(self.activation(self.dense(chosen))), matrix, self.bias)


class FirstTokenHead(nn.Module):
    """Dense on the first token's state: next sentence (2), classification (labels) or regression (1).

    Without `pooler` the state is read as it is, as the student does (classifier_activation false); with it a dense
    layer of the same width and tanh come first, as in the teacher and BERT.
    """

    def __init__(self, config: EncoderConfig, num_outputs: int, *, pooler: bool) -> None:
        super().__init__()
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size) if pooler else None
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.dense = nn.Linear(config.hidden_size, num_outputs)
        self.apply(lambda module: initialize(module, config.initializer_range))

    def forward(self, feature_map: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch outputs"]:
        state = feature_map[:, 0]
        if self.pooler is not None:
            state = torch.tanh(self.pooler(state))
        logits: Tensor = self.dense(self.dropout(state))
        return logits


class SpanHead(nn.Module):
    """Start and end logits of an answer for every token (Devlin et al. 2019, section 4.2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, 2)
        initialize(self.dense, config.initializer_range)

    def forward(self, feature_map: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch seq 2"]:
        logits: Tensor = self.dense(feature_map)
        return logits
