"""Pre-training as a stage: on labels, by distillation, with the triple loss, or with auxiliary knowledge transfer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.networks import PreTrainingLogits, PreTrainingNetwork
from search.distillation.distilbert import triple_loss, triple_terms
from search.distillation.losses import masked_language_distillation_loss
from search.recipe import KnowledgeTransfer, PreTraining, TripleLoss
from search.training.block_losses import teaching
from search.training.stages import (
    Batch,
    Batches,
    Projected,
    Stage,
    groups_by_depth,
    make_optimizer,
    parameter_groups,
    scheduled_rates,
)


def pretraining_stage(
    network: PreTrainingNetwork,
    teacher: PreTrainingNetwork | None,
    batches: Batches,
    recipe: PreTraining,
    first_update: int,
) -> Stage:
    """Masked-language and next-sentence training; with a teacher's share it is pre-training distillation.

    Dropout is on for labels and for the triple loss, as in DistilBERT's code, and off in distillation.
    """
    groups = groups_by_depth(network, network.encoder, recipe.optimizer)
    shared = teacher is not None and recipe.teacher_share > 0

    def plain(step: int) -> Tensor:
        batch = batches.get(first_update + step, recipe.batch_size)
        inputs = (batch.token_ids, batch.mask, batch.token_types, batch.masked_positions)
        logits = network(*inputs)
        if not shared:
            sentence = functional.cross_entropy(logits.next_sentence, batch.is_random_next)
            total: Tensor = functional.cross_entropy(logits.masked_language, batch.masked_labels) + sentence
            return total
        assert teacher is not None
        with torch.no_grad():
            target = teacher(*inputs)
        return _distillation(logits, target, batch, recipe.teacher_share)

    loss: Callable[[int], Tensor] = plain
    if recipe.triple is not None:
        assert teacher is not None
        loss = _triple(network, teacher, batches, recipe, recipe.triple, first_update)
    name = "distillation" if shared or recipe.triple else "pre-training"
    optimizer = make_optimizer(groups, recipe.optimizer)
    rates = scheduled_rates(recipe.optimizer, recipe.steps, groups)
    return Stage(name, recipe.steps, network, optimizer, rates, loss, not shared, recipe.optimizer.clip_norm)


def auxiliary_stage(
    network: PreTrainingNetwork,
    teacher: PreTrainingNetwork,
    batches: Batches,
    transfer: KnowledgeTransfer,
    recipe: PreTraining,
    projection: nn.Linear | None = None,
) -> Stage:
    """Auxiliary knowledge transfer (AKT): one loss, pre-training (distillation) plus the mean of all blocks' losses.

    As many updates as transfer and pre-training of the other strategies together, everything learns, dropout is off
    (Sun et al. 2020, section 3.4).
    """
    taught = teaching(transfer, network.encoder, projection)
    groups = groups_by_depth(network, network.encoder, recipe.optimizer)
    if projection is not None:
        groups += parameter_groups(projection.parameters(), recipe.optimizer, block=None)
    steps = transfer.steps + recipe.steps

    def loss(step: int) -> Tensor:
        batch = batches.get(step, recipe.batch_size)
        inputs = (batch.token_ids, batch.mask, batch.token_types)
        output = taught.outputs(network.encoder, inputs, len(network.encoder.blocks))
        logits = network.logits(output.feature_maps[-1], batch.masked_positions)
        with torch.no_grad():
            target = taught.outputs(teacher.encoder, inputs, len(teacher.encoder.blocks))
            target_logits = teacher.logits(target.feature_maps[-1], batch.masked_positions)
        own = _distillation(logits, target_logits, batch, recipe.teacher_share)
        return own + taught.mean_loss(output, target, batch.mask)

    optimizer = make_optimizer(groups, recipe.optimizer)
    rates = scheduled_rates(recipe.optimizer, steps, groups)
    whole = network if projection is None else Projected(network, projection)
    return Stage("auxiliary", steps, whole, optimizer, rates, loss, False, recipe.optimizer.clip_norm)


def _distillation(logits: PreTrainingLogits, target: PreTrainingLogits, batch: Batch, teacher_share: float) -> Tensor:
    """Labels and teacher mixed at masked positions, and the next sentence."""
    sentence = functional.cross_entropy(logits.next_sentence, batch.is_random_next)
    mixed = masked_language_distillation_loss(
        logits.masked_language, target.masked_language, batch.masked_labels, 1.0 - teacher_share
    )
    return mixed + sentence


def _triple(
    network: PreTrainingNetwork,
    teacher: PreTrainingNetwork,
    batches: Batches,
    recipe: PreTraining,
    factors: TripleLoss,
    first_update: int,
) -> Callable[[int], Tensor]:
    """DistilBERT's loss: logits at every real token."""

    def loss(step: int) -> Tensor:
        batch = batches.get(first_update + step, recipe.batch_size)
        inputs = (batch.token_ids, batch.mask, batch.token_types)
        positions = batch.mask.flatten().nonzero().squeeze(1)
        output = network.encoder(*inputs).feature_maps[-1]
        with torch.no_grad():
            target = teacher.encoder(*inputs).feature_maps[-1]
            target_logits = teacher.logits(target, positions).masked_language
        terms = triple_terms(
            network.logits(output, positions).masked_language,
            target_logits,
            torch.isin(positions, batch.masked_positions),
            batch.masked_labels,
            output,
            target,
            batch.mask,
            temperature=factors.temperature,
        )
        return triple_loss(
            terms,
            distillation_factor=factors.distillation_factor,
            language_factor=factors.language_factor,
            cosine_factor=factors.cosine_factor,
        )

    return loss
