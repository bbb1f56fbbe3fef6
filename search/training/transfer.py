"""Knowledge transfer as stages: progressive (PKT) and joint (JKT), on the corpus.

The auxiliary strategy (AKT) is one stage with the pre-training: search/training/pretraining.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from model_zoo.encoder import Encoder
from model_zoo.networks import PreTrainingNetwork
from search.recipe import KnowledgeTransfer
from search.training.block_losses import Teaching, teaching
from search.training.schedules import pkt_multiplier
from search.training.stages import (
    Batch,
    Batches,
    Objective,
    Projected,
    Stage,
    in_share,
    make_optimizer,
    parameter_groups,
    scheduled_rates,
)
from search.training.targets import objective_loss
from search.training.teacher_outputs import Taught


def transfer_stage(
    student: PreTrainingNetwork,
    teacher: PreTrainingNetwork,
    batches: Batches,
    recipe: KnowledgeTransfer,
    projection: nn.Linear | None = None,
) -> Stage:
    """Progressive or joint knowledge transfer (Sun et al. 2020, section 3.4)."""
    taught = teaching(recipe, student.encoder, projection)
    rates: Callable[[int], Sequence[float]]
    groups = encoder_groups(student.encoder, recipe, projection)
    if recipe.strategy == "progressive":
        rates, objective = _progressive(student.encoder, taught, groups)
    else:
        rates = scheduled_rates(recipe.optimizer, recipe.steps, groups)
        objective = _joint(student.encoder, taught)
    return Stage(
        "transfer",
        recipe.steps,
        student if projection is None else Projected(student, projection),
        make_optimizer(groups, recipe.optimizer),
        rates,
        objective_loss(objective, teacher, batches),
        False,
        recipe.optimizer.clip_norm,
        objective=objective,
    )


def encoder_groups(encoder: Encoder, recipe: KnowledgeTransfer, projection: nn.Linear | None) -> list[dict[str, Any]]:
    """What knowledge transfer moves: the blocks; embeddings too unless they were copied; the projection."""
    groups: list[dict[str, Any]] = []
    for index, block in enumerate(encoder.blocks):
        groups += parameter_groups(block.parameters(), recipe.optimizer, block=index)
    if recipe.copied == "nothing":
        groups += parameter_groups(encoder.embedding.parameters(), recipe.optimizer, block=0)
    if projection is not None:
        groups += parameter_groups(projection.parameters(), recipe.optimizer, block=None)
    return groups


def _progressive(
    student: Encoder, taught: Teaching, groups: list[dict[str, Any]]
) -> tuple[Callable[[int], list[float]], Objective]:
    """Rates (as in the released code, reference 3.2) and loss of one phase per block, from the bottom up."""
    recipe, num_blocks = taught.recipe, len(student.blocks)
    phase_steps = recipe.steps // num_blocks

    def multiplier(step: int, block: int | None) -> float:
        phase = step // phase_steps
        if recipe.freeze == "hard" and block is not None and block < phase:
            return 0.0
        return pkt_multiplier(step, phase if block is None else block, phase_steps)

    def rates(step: int) -> list[float]:
        return [recipe.optimizer.learning_rate * multiplier(step, group["block"]) for group in groups]

    def freeze(step: int) -> None:
        # Without gradients, frozen blocks take no part in the clipping and cost no backward pass.
        for group in groups:
            for parameter in group["params"]:
                parameter.requires_grad_(group["block"] in (None, step // phase_steps))

    def value(step: int, batch: Batch, target: Taught) -> Tensor:
        phase = step // phase_steps
        output = taught.outputs(student, batch.inputs, phase + 1)
        total = taught.block_loss(output, target, batch.mask, phase)
        if phase == 0 and recipe.embedding_factor:
            total = total + taught.embedding_loss(output, target, batch.mask)
        return in_share(total / num_blocks, batch.token_share)

    return rates, Objective(
        range(recipe.steps),
        recipe.batch_size,
        value,
        lambda step: taught.wanted([step // phase_steps]),
        freeze if recipe.freeze == "hard" else None,
    )


def _joint(student: Encoder, taught: Teaching) -> Objective:
    """All blocks' losses at once."""
    recipe, blocks = taught.recipe, range(len(student.blocks))
    asked = taught.wanted(blocks)

    def value(step: int, batch: Batch, target: Taught) -> Tensor:
        mean = taught.mean_loss(taught.outputs(student, batch.inputs, len(blocks)), target, batch.mask)
        return in_share(mean, batch.token_share)

    return Objective(range(recipe.steps), recipe.batch_size, value, lambda step: asked)
