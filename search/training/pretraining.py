"""Pre-training as a stage: on labels, by distillation, with the triple loss, or with auxiliary knowledge transfer."""

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
    Objective,
    Projected,
    Stage,
    groups_by_depth,
    in_share,
    make_optimizer,
    parameter_groups,
    scheduled_rates,
)
from search.training.targets import objective_loss
from search.training.teacher_outputs import Taught, Wanted

IGNORED = -100
"""The label of a position that does not count."""


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
        objective = _triple(network, teacher, recipe, updates)
    elif shared:
        objective = _distilled(network, recipe, updates)
    else:
        objective = _on_labels(network, recipe, updates)
    name = "distillation" if shared or recipe.triple else "pre-training"
    optimizer = make_optimizer(groups, recipe.optimizer)
    rates = scheduled_rates(recipe.optimizer, recipe.steps, groups)
    loss, clip_norm = objective_loss(objective, teacher, batches), recipe.optimizer.clip_norm
    return Stage(name, recipe.steps, network, optimizer, rates, loss, not shared, clip_norm, objective=objective)


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

    def value(step: int, batch: Batch, target: Taught) -> Tensor:
        output = taught.outputs(network.encoder, batch.inputs, len(blocks))
        logits = network.logits(output.feature_maps[-1], batch.masked_positions)
        own = _distillation(logits, target, batch, recipe)
        return own + in_share(taught.mean_loss(output, target, batch.mask), batch.token_share)

    optimizer = make_optimizer(groups, recipe.optimizer)
    rates = scheduled_rates(recipe.optimizer, steps, groups)
    whole = network if projection is None else Projected(network, projection)
    objective = Objective(range(steps), recipe.batch_size, value, lambda step: asked)
    loss, clip_norm = objective_loss(objective, teacher, batches), recipe.optimizer.clip_norm
    return Stage("auxiliary", steps, whole, optimizer, rates, loss, False, clip_norm, objective=objective)


def _on_labels(network: PreTrainingNetwork, recipe: PreTraining, updates: range) -> Objective:
    """Masked language and next sentence."""

    def value(step: int, batch: Batch, target: Taught) -> Tensor:
        logits, labels = network(*batch.inputs, batch.masked_positions), batch.masked_labels
        if batch.masked_real is not None:
            labels = torch.where(batch.masked_real, labels, IGNORED)
        sentence = functional.cross_entropy(logits.next_sentence, batch.is_random_next)
        guessed = functional.cross_entropy(logits.masked_language, labels, ignore_index=IGNORED)
        total: Tensor = in_share(guessed, batch.masked_share) + sentence
        return total

    return Objective(updates, recipe.batch_size, value)


def _distilled(network: PreTrainingNetwork, recipe: PreTraining, updates: range) -> Objective:
    """Pre-training distillation."""

    def value(step: int, batch: Batch, target: Taught) -> Tensor:
        return _distillation(network(*batch.inputs, batch.masked_positions), target, batch, recipe)

    return Objective(updates, recipe.batch_size, value, lambda update: Wanted(masked_language=True))


def _distillation(logits: PreTrainingLogits, target: Taught, batch: Batch, recipe: PreTraining) -> Tensor:
    """Labels and teacher mixed at masked positions, and the next sentence; a loss of one's own on top."""
    assert target.masked_language is not None
    sentence = functional.cross_entropy(logits.next_sentence, batch.is_random_next)
    mixed = masked_language_distillation_loss(
        logits.masked_language,
        target.masked_language,
        batch.masked_labels,
        1.0 - recipe.teacher_share,
        batch.masked_real,
    )
    if recipe.own_loss is not None:
        own = own_loss(recipe.own_loss, logits.masked_language, target.masked_language, batch.masked_labels)
        mixed = mixed + recipe.own_factor * own
    return in_share(mixed, batch.masked_share) + sentence


def _triple(network: PreTrainingNetwork, teacher: PreTrainingNetwork, recipe: PreTraining, updates: range) -> Objective:
    """DistilBERT's loss: logits at every real token, which are computed ahead where asked for, but never kept."""
    factors, last = recipe.triple, len(teacher.encoder.blocks) - 1
    assert factors is not None
    asked = Wanted(feature_maps=(last,), masked_language=True, every_token=True)

    def value(step: int, batch: Batch, target: Taught) -> Tensor:
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

    return Objective(updates, recipe.batch_size, value, lambda update: asked)
