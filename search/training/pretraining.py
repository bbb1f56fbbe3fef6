"""Pre-training as a stage: on labels, by distillation, with the triple loss, or with auxiliary knowledge transfer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.networks import PreTrainingLogits, PreTrainingNetwork
from search.distillation.distilbert import triple_loss, triple_terms
from search.distillation.losses import masked_language_distillation_loss
from search.recipe import KnowledgeTransfer, PreTraining
from search.training.block_losses import teaching
from search.training.own_loss import own_loss
from search.training.stages import (
    Batch,
    Batches,
    Projected,
    Stage,
    groups_by_depth,
    in_share,
    make_optimizer,
    parameter_groups,
    scheduled_rates,
)
from search.training.targets import targets
from search.training.teacher_outputs import Taught, Wanted


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
    updates = range(first_update, first_update + recipe.steps)
    if recipe.triple is not None:
        assert teacher is not None
        loss = _triple(network, teacher, batches, recipe, updates)
    elif teacher is not None and recipe.teacher_share > 0:
        loss = _distilled(network, teacher, batches, recipe, updates)
    else:
        loss = _on_labels(network, batches, recipe, updates)
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
    steps, blocks = transfer.steps + recipe.steps, range(len(network.encoder.blocks))
    asked = taught.wanted(blocks, masked_language=True)
    target_of = targets(teacher, batches, recipe.batch_size, range(steps), lambda step: asked)

    def loss(step: int) -> Tensor:
        batch, target = target_of(step)
        output = taught.outputs(network.encoder, batch.inputs, len(blocks))
        logits = network.logits(output.feature_maps[-1], batch.masked_positions)
        own = _distillation(logits, target, batch, recipe)
        return own + in_share(taught.mean_loss(output, target, batch.mask), batch.token_share)

    optimizer = make_optimizer(groups, recipe.optimizer)
    rates = scheduled_rates(recipe.optimizer, steps, groups)
    whole = network if projection is None else Projected(network, projection)
    return Stage("auxiliary", steps, whole, optimizer, rates, loss, False, recipe.optimizer.clip_norm)


def _on_labels(
    network: PreTrainingNetwork, batches: Batches, recipe: PreTraining, updates: range
) -> Callable[[int], Tensor]:
    """Masked language and next sentence."""
    batch_of = batches.getter(recipe.batch_size, updates.stop)

    def loss(step: int) -> Tensor:
        batch = batch_of(updates[step])
        logits = network(*batch.inputs, batch.masked_positions)
        sentence = functional.cross_entropy(logits.next_sentence, batch.is_random_next)
        guessed = functional.cross_entropy(logits.masked_language, batch.masked_labels)
        total: Tensor = in_share(guessed, batch.masked_share) + sentence
        return total

    return loss


def _distilled(
    network: PreTrainingNetwork, teacher: PreTrainingNetwork, batches: Batches, recipe: PreTraining, updates: range
) -> Callable[[int], Tensor]:
    """Pre-training distillation."""
    target_of = targets(teacher, batches, recipe.batch_size, updates, lambda update: Wanted(masked_language=True))

    def loss(step: int) -> Tensor:
        batch, target = target_of(updates[step])
        return _distillation(network(*batch.inputs, batch.masked_positions), target, batch, recipe)

    return loss


def _distillation(logits: PreTrainingLogits, target: Taught, batch: Batch, recipe: PreTraining) -> Tensor:
    """Labels and teacher mixed at masked positions, and the next sentence; a loss of one's own on top."""
    assert target.masked_language is not None
    sentence = functional.cross_entropy(logits.next_sentence, batch.is_random_next)
    mixed = masked_language_distillation_loss(
        logits.masked_language, target.masked_language, batch.masked_labels, 1.0 - recipe.teacher_share
    )
    if recipe.own_loss is not None:
        own = own_loss(recipe.own_loss, logits.masked_language, target.masked_language, batch.masked_labels)
        mixed = mixed + recipe.own_factor * own
    return in_share(mixed, batch.masked_share) + sentence


def _triple(
    network: PreTrainingNetwork,
    teacher: PreTrainingNetwork,
    batches: Batches,
    recipe: PreTraining,
    updates: range,
) -> Callable[[int], Tensor]:
    """DistilBERT's loss: logits at every real token, which are computed ahead where asked for, but never kept."""
    factors, last = recipe.triple, len(teacher.encoder.blocks) - 1
    assert factors is not None
    asked = Wanted(feature_maps=(last,), masked_language=True, every_token=True)
    target_of = targets(teacher, batches, recipe.batch_size, updates, lambda update: asked)

    def loss(step: int) -> Tensor:
        batch, target = target_of(updates[step])
        assert target.masked_language is not None
        positions = batch.real_positions
        output = network.encoder(*batch.inputs).feature_maps[-1]
        terms = triple_terms(
            network.logits(output, positions).masked_language,
            target.masked_language,
            torch.isin(positions, batch.masked_positions),
            batch.masked_labels,
            output,
            target.feature_maps[last],
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
