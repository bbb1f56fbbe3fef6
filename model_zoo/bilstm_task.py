"""A BiLSTM as one task's network: it reads what an encoder reads, [CLS] and [SEP] being words like others."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model_zoo.bilstm import BiLSTM
from model_zoo.bilstm_config import BiLSTMConfig, Form
from model_zoo.encoder import MASKED_SCORE


class BiLSTMTask(nn.Module):
    """Single texts and, siamese, pairs as in Tang et al. 2019; spans in a form of our own.

    The paper has no span task. Here question and text are read as one sequence, and the same dense layer and two logits
    (start and end) read the states of both directions at every token.

    Args:
        config: its sizes; `form` and `num_outputs` are the task's.
        num_outputs: 0 stands for a span task.
        pair: whether the task's rows are pairs of texts, told apart by their token types; a span's are read as one.
    """

    def __init__(self, config: BiLSTMConfig, num_outputs: int, *, pair: bool = False) -> None:
        super().__init__()
        self.is_span = num_outputs == 0
        form: Form = "pair" if pair and not self.is_span else "sentence"
        self.network = BiLSTM(replace(config, form=form, num_outputs=num_outputs or 2))

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        token_types: Int[Tensor, "batch seq"],
    ) -> Float[Tensor, " batch *outputs"]:
        """Logits (batch, outputs), or (batch, seq, 2) for a span task. `mask` is True at real tokens, which come first.

        Raises:
            ValueError: a text without a token, such as a pair whose second text is missing.
        """
        network = self.network
        if self.is_span:
            logits: Tensor = network.output(torch.relu(network.dense(network.states(token_ids, mask))))
            return logits.masked_fill(~mask[:, :, None], MASKED_SCORE)
        if network.config.form == "sentence":
            answer: Tensor = network(token_ids, mask)
            return answer
        second_ids, second_mask = second_texts(token_ids, mask, token_types)
        of_pairs: Tensor = network(token_ids, mask & (token_types == 0), second_ids, second_mask)
        return of_pairs


def second_texts(
    token_ids: Int[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"], token_types: Int[Tensor, "batch seq"]
) -> tuple[Int[Tensor, "batch other"], Bool[Tensor, "batch other"]]:
    """The tokens of type 1, moved to the front of their rows, and where they are real."""
    is_second = mask & (token_types == 1)
    lengths, before = is_second.sum(1), (mask & ~is_second).sum(1)
    places = torch.arange(max(1, int(lengths.max())), device=token_ids.device)
    moved = (before[:, None] + places).clamp(max=token_ids.shape[1] - 1)
    return token_ids.gather(1, moved), places < lengths[:, None]
