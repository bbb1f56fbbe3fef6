"""What the blocks of a student are asked to copy from a teacher's: the objectives that a recipe's factors switch on."""

from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor, nn

from model_zoo.encoder import Encoder, EncoderOutput
from search.distillation.losses import (
    attention_transfer_cross_entropy,
    attention_transfer_loss,
    feature_map_loss,
    feature_map_loss_normalised,
)
from search.distillation.tinybert import attention_score_loss
from search.matching import resolved_map
from search.recipe import KnowledgeTransfer
from search.training.own_loss import own_loss
from search.training.teacher_outputs import Taught, Wanted


class Teaching(NamedTuple):
    """How the output of a student's encoder is compared with that of a teacher's."""

    recipe: KnowledgeTransfer
    layer_map: tuple[int, ...]
    """The teacher's block for each of the student's."""
    projection: nn.Linear | None

    def outputs(self, encoder: Encoder, inputs: tuple[Tensor, Tensor, Tensor], num_blocks: int) -> EncoderOutput:
        """What is compared: scores are computed only where the attention counts."""
        result: EncoderOutput = encoder(*inputs, scores=self.recipe.compares_attention, num_blocks=num_blocks)
        return result

    def wanted(self, blocks: Collection[int], *, masked_language: bool = False) -> Wanted:
        """What the losses of some student blocks read of the teacher; the first block's include the embeddings'."""
        matched = tuple(sorted({self.layer_map[block] for block in blocks}))
        return Wanted(
            feature_maps=matched if self.recipe.compares_maps else (),
            attention_scores=matched if self.recipe.compares_attention else (),
            masked_language=masked_language,
            embedded=bool(self.recipe.embedding_factor) and 0 in blocks,
        )

    def block_loss(self, student: EncoderOutput, teacher: EncoderOutput | Taught, mask: Tensor, block: int) -> Tensor:
        """One student block's loss against the teacher block it is matched with."""
        other = self.layer_map[block]
        terms: list[Tensor] = []
        if self.recipe.compares_maps:
            terms.append(self._map_loss(student.feature_maps[block], teacher.feature_maps[other], mask))
        if self.recipe.compares_attention:
            attention = self._attention_loss(student.attention_scores[block], teacher.attention_scores[other], mask)
            terms.append(self.recipe.attention_factor * attention)
        if not terms:
            return student.embedded.new_zeros(())
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def embedding_loss(self, student: EncoderOutput, teacher: EncoderOutput | Taught, mask: Tensor) -> Tensor:
        """The embeddings' term with its factor."""
        assert teacher.embedded is not None
        return self.recipe.embedding_factor * feature_map_loss(self._project(student.embedded), teacher.embedded, mask)

    def mean_loss(self, student: EncoderOutput, teacher: EncoderOutput | Taught, mask: Tensor) -> Tensor:
        """All blocks' losses and the embeddings', over the number of blocks (the released code's / 24)."""
        total = self.block_loss(student, teacher, mask, 0)
        for block in range(1, len(self.layer_map)):
            total = total + self.block_loss(student, teacher, mask, block)
        if self.recipe.embedding_factor:
            total = total + self.embedding_loss(student, teacher, mask)
        return total / len(self.layer_map)

    def _map_loss(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        recipe, student = self.recipe, self._project(student)
        if recipe.own_loss is None:
            return self._given_map_loss(student, teacher, mask)
        own = recipe.own_factor * own_loss(recipe.own_loss, student, teacher, mask)
        return own + self._given_map_loss(student, teacher, mask) if recipe.compares_maps_itself else own

    def _given_map_loss(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        recipe = self.recipe
        if recipe.feature_map_form == "paper":
            return recipe.feature_map_factor * feature_map_loss(student, teacher, mask)
        return feature_map_loss_normalised(
            student,
            teacher,
            mask,
            normalised_factor=recipe.feature_map_factor,
            mean_factor=recipe.mean_factor,
            variance_factor=recipe.variance_factor,
        )

    def _attention_loss(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        recipe = self.recipe
        if recipe.attention_form == "scores":
            return attention_score_loss(student, teacher, mask)
        loss = attention_transfer_loss if recipe.attention_form == "divergence" else attention_transfer_cross_entropy
        return loss(student, teacher, mask, average_heads=recipe.average_heads)

    def _project(self, maps: Tensor) -> Tensor:
        if self.projection is None:
            return maps
        projected: Tensor = self.projection(maps)
        return projected


def teaching(recipe: KnowledgeTransfer, student: Encoder, projection: nn.Linear | None) -> Teaching:
    """The comparison that a recipe asks for."""
    assert (projection is not None) == recipe.projection
    return Teaching(recipe, resolved_map(recipe, len(student.blocks)), projection)
