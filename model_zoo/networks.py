"""An encoder with its heads: what is pre-trained, and what is fine-tuned for one task."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model_zoo.config import EncoderConfig
from model_zoo.encoder import MASKED_SCORE, Encoder, EncoderOutput
from model_zoo.heads import FirstTokenHead, MaskedLanguageHead, SpanHead


class PreTrainingLogits(NamedTuple):
    """Logits of the two pre-training objectives."""

    masked_language: Float[Tensor, "masked vocab"]
    next_sentence: Float[Tensor, "batch 2"]


class PreTrainingNetwork(nn.Module):
    """Encoder, masked-language head and next-sentence head (label 0: is next, 1: random)."""

    def __init__(self, config: EncoderConfig, *, pooler: bool = False) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.masked_language = MaskedLanguageHead(config)
        self.next_sentence = FirstTokenHead(config, 2, pooler=pooler)

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        token_types: Int[Tensor, "batch seq"],
        masked_positions: Int[Tensor, " masked"],
    ) -> PreTrainingLogits:
        """`mask` is True at real tokens; `masked_positions` index the flattened (batch * seq) tokens."""
        output: EncoderOutput = self.encoder(token_ids, mask, token_types)
        return self.logits(output.feature_maps[-1], masked_positions)

    def logits(
        self, feature_map: Float[Tensor, "batch seq hidden"], masked_positions: Int[Tensor, " masked"]
    ) -> PreTrainingLogits:
        """Both heads on the last feature map."""
        table = self.encoder.embedding.tokens.weight
        return PreTrainingLogits(
            self.masked_language(feature_map, masked_positions, table), self.next_sentence(feature_map)
        )


class TaskNetwork(nn.Module):
    """Encoder and one task's head; `num_outputs` 0 stands for a span task (start and end logits per token)."""

    def __init__(self, encoder: Encoder, num_outputs: int, *, pooler: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.head: nn.Module = (
            FirstTokenHead(encoder.config, num_outputs, pooler=pooler) if num_outputs else SpanHead(encoder.config)
        )

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        token_types: Int[Tensor, "batch seq"],
    ) -> Float[Tensor, " batch *outputs"]:
        """Logits (batch, outputs), or (batch, seq, 2) for a span task. `mask` is True at real tokens.

        No answer starts or ends at padding: its span logits are set to MASKED_SCORE.
        """
        return task_logits(self.head, self.encoder(token_ids, mask, token_types).feature_maps[-1], mask)


class MultiTaskNetwork(nn.Module):
    """One encoder under the heads of several tasks (Liu et al. 2019, MT-DNN, arXiv 1901.11504)."""

    def __init__(self, encoder: Encoder, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleList(heads)

    def forward(
        self,
        task: int,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        token_types: Int[Tensor, "batch seq"],
    ) -> Float[Tensor, " batch *outputs"]:
        """Logits of the task at that place, as a `TaskNetwork` gives them. `mask` is True at real tokens."""
        return task_logits(self.heads[task], self.encoder(token_ids, mask, token_types).feature_maps[-1], mask)


def task_logits(
    head: nn.Module, feature_map: Float[Tensor, "batch seq hidden"], mask: Bool[Tensor, "batch seq"]
) -> Float[Tensor, " batch *outputs"]:
    """A task's logits from the last feature map. `mask` is True at real tokens."""
    logits: Tensor = head(feature_map)
    if isinstance(head, SpanHead):
        logits = logits.masked_fill(~mask[:, :, None], MASKED_SCORE)
    return logits


@torch.no_grad()
def copy_from_teacher(
    student: PreTrainingNetwork,
    teacher: PreTrainingNetwork,
    *,
    heads: bool = True,
    blocks: Sequence[int] = (),
    without: Collection[str] = (),
) -> tuple[str, ...]:
    """Start the student's embeddings and heads from the teacher's, as the released code loads what has the same name.

    The encoder's blocks stay as they are unless `blocks` names the teacher's block for each. A LayerNorm's scale and
    shift are not copied into a NoNorm: they belong to normalised inputs (the released code gives the two different
    names). A pooler that one of them lacks is left out.

    Args:
        heads: whether the masked-language and next-sentence heads are copied too.
        blocks: the teacher's block that each of the student's starts from (DistilBERT); of the same shape.
        without: names of tensors that stay as they are in the student (heads that the teacher was not trained with).

    Returns the names of the copied tensors.
    """
    source, copied = teacher.state_dict(), []
    same_norm = student.encoder.config.norm == teacher.encoder.config.norm
    for name, target in student.state_dict().items():
        inside = name.startswith("encoder.blocks.")
        foreign = name.startswith("encoder.embedding.norm.") and not same_norm
        if inside or foreign or name in without or not (heads or name.startswith("encoder.")):
            continue
        if name in source:
            target.copy_(source[name])
            copied.append(name)
    for index, block in enumerate(blocks):
        student.encoder.blocks[index].load_state_dict(teacher.encoder.blocks[block].state_dict())
        copied += [f"encoder.blocks.{index}.{name}" for name in student.encoder.blocks[index].state_dict()]
    return tuple(copied)
