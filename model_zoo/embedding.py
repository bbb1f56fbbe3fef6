"""Token, position and type embeddings: plain, factorised, or factorised with the trigram convolution."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_zoo.config import EncoderConfig
from model_zoo.norm import make_norm


class Embedding(nn.Module):
    """Ids to the first h_inter-wide map (Sun et al. 2020, section 3.1; google-research/mobilebert modeling.py).

    The trigram is [next ; this ; previous] token's embedding, zeros past both ends of the array, then one dense
    layer: a convolution of kernel 3. A padding token inside the array leaks into the last real token, as in the
    released code, unless its embedding is zeroed; here padding is zeroed, so that padding never changes a real
    position.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.trigram = config.trigram
        self.tokens = nn.Embedding(config.vocab_size, config.embedding_size)
        self.positions = nn.Embedding(config.max_positions, config.hidden_size)
        self.token_types = nn.Embedding(config.num_token_types, config.hidden_size) if config.num_token_types else None
        inputs = config.embedding_size * (3 if config.trigram else 1)
        self.projection = nn.Linear(inputs, config.hidden_size) if config.projects_embedding else nn.Identity()
        self.norm = make_norm(config, config.hidden_size, place="embedding")
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Float[Tensor, "batch seq 1"],
        token_types: Int[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch seq hidden"]:
        """`mask` is 1 at real tokens and 0 at padding; `token_types` are not read where the config has none."""
        tokens = self.tokens(token_ids)
        if self.trigram:
            tokens = tokens * mask
            edge = torch.zeros_like(tokens[:, :1])
            following = torch.cat((tokens[:, 1:], edge), dim=1)
            previous = torch.cat((edge, tokens[:, :-1]), dim=1)
            tokens = torch.cat((following, tokens, previous), dim=-1)  # (batch, seq, 3 * embedding)
        hidden = self.projection(tokens) + self.positions.weight[: token_ids.shape[1]]
        if self.token_types is not None:
            hidden = hidden + self.token_types(token_types)
        embedded: Tensor = self.dropout(self.norm(hidden))
        return embedded
