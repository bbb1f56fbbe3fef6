"""The BiLSTM student of Tang et al. 2019 (arXiv 1903.12136), for single sentences and, siamese, for pairs of texts.

Not built: their augmentation of the training rows, and the word2vec file; `load_word_vectors` takes the vectors from
wherever they come.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from model_zoo.bilstm_config import BiLSTMConfig


class BiLSTM(nn.Module):
    """Word vectors, one bidirectional LSTM layer, last state of each direction, ReLU dense layer, logits.

    Padding is never read: the forward direction ends, and the backward one starts, at the last real word.

    >>> import torch
    >>> config = BiLSTMConfig(embedding_size=4, hidden_size=3, dense_size=5, vocab_size=10)
    >>> words = torch.zeros(2, 6, dtype=torch.long)
    >>> BiLSTM(config)(words, torch.ones(2, 6, dtype=torch.bool)).shape
    torch.Size([2, 2])
    """

    def __init__(self, config: BiLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.embedding_size)
        nn.init.normal_(self.tokens.weight, std=config.initializer_range)
        self.fixed_tokens: nn.Embedding | None = None
        if config.num_channels == 2:
            self.fixed_tokens = nn.Embedding(config.vocab_size, config.embedding_size).requires_grad_(False)
        self.load_word_vectors(self.tokens.weight)
        inputs = config.num_channels * config.embedding_size
        self.lstm = nn.LSTM(inputs, config.hidden_size, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(config.feature_size, config.dense_size)
        self.output = nn.Linear(config.dense_size, config.num_outputs)

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        second_ids: Int[Tensor, "batch other"] | None = None,
        second_mask: Bool[Tensor, "batch other"] | None = None,
    ) -> Float[Tensor, "batch outputs"]:
        """Logits.

        Args:
            token_ids: vocabulary ids of the text, or of a pair's first text.
            mask: True at real words, which come first, False at padding.
            second_ids: the second text, in the pair form only.
            second_mask: as `mask`.

        Raises:
            ValueError: a second text that is missing or too many, or a text without a real word.
        """
        pair = self.config.form == "pair"
        if (second_ids is not None) != pair or (second_mask is not None) != pair:
            raise ValueError(
                f"form {self.config.form!r} takes {'two texts' if pair else 'one text'} with a mask each, got "
                f"{'a' if second_ids is not None else 'no'} second text and "
                f"{'a' if second_mask is not None else 'no'} second mask"
            )
        features = self.encode(token_ids, mask)
        if second_ids is not None and second_mask is not None:
            other = self.encode(second_ids, second_mask)
            features = torch.cat((features, other, features * other, (features - other).abs()), dim=-1)
        logits: Tensor = self.output(torch.relu(self.dense(features)))
        return logits

    def encode(
        self, token_ids: Int[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch state"]:
        """[last state forwards ; last state backwards] of each text. `mask` is True at real words."""
        _, (states, _) = self.lstm(self._words(token_ids, mask))  # (2, batch, hidden)
        return torch.cat((states[0], states[1]), dim=-1)

    def states(
        self, token_ids: Int[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq state"]:
        """[state forwards ; state backwards] at every word, zeros at padding. `mask` is True at real words."""
        packed, _ = self.lstm(self._words(token_ids, mask))
        states, _ = pad_packed_sequence(packed, batch_first=True, total_length=token_ids.shape[1])
        return states

    def _words(self, token_ids: Int[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> PackedSequence:
        """The word vectors of every text's real words."""
        lengths = mask.sum(dim=1).cpu()
        if int(lengths.min()) < 1:
            raise ValueError(f"every text must have at least 1 real word, row {int(lengths.argmin())} has none")
        channels = [self.tokens] if self.fixed_tokens is None else [self.fixed_tokens, self.tokens]
        words = torch.cat([channel(token_ids) for channel in channels], dim=-1)  # (batch, seq, channels * embedding)
        return pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)

    @torch.no_grad()
    def load_word_vectors(self, vectors: Float[Tensor, "vocab embedding"]) -> None:
        """Start every channel from these vectors, one row per vocabulary id."""
        for channel in (self.tokens, self.fixed_tokens):
            if channel is not None:
                channel.weight.copy_(vectors)
