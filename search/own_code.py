"""Code of the user's own in trials: which a trial names, loading it in a worker, and trying all of it before a run."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.own_code import is_own, load
from search.recipe import KnowledgeTransfer, Recipe
from search.study import Ablation, Search, all_configurations, at_seed
from search.trial import TrialSpec

if TYPE_CHECKING:
    from search.training.own_loss import Compared


def own_code_of(spec: TrialSpec) -> tuple[str, ...]:
    """What `own` named, in a trial and its teacher, each once."""
    recipe = spec.recipe
    losses = [*(transfer.own_loss for transfer in _transfers(recipe)), recipe.pre_training.own_loss]
    named = [*(encoder.feed_forward for encoder in _encoders(spec)), *losses]
    if isinstance(spec.teacher, TrialSpec):
        named += own_code_of(spec.teacher)
    return tuple(dict.fromkeys(name for name in named if name is not None and is_own(name)))


def load_own_code(spec: TrialSpec) -> None:
    """Load what a trial names, in the process that trains it.

    Modules are found as in the driver: a worker process is started with its import path.

    Raises:
        ValueError: the source has changed since the trial was planned, or cannot be imported.
    """
    for named in own_code_of(spec):
        load(named)


def planned_specs(study: Search | Ablation) -> list[TrialSpec]:
    """Every trial that a study may run, at one seed."""
    if isinstance(study, Search):
        return [study.baseline, *all_configurations(study).values()]
    return [at_seed(arm.spec, study.seeds[0]) for arm in study.arms]


def check_own_code(specs: Iterable[TrialSpec]) -> None:
    """Run every feed-forward and loss of one's own once, on tensors of the size that its trials have.

    Raises:
        ValueError: one of them has another shape than it must, or fails; the first one, by name.
    """
    encoders: dict[EncoderConfig, None] = {}
    losses: dict[tuple[str, Compared, int], None] = {}
    for spec in specs:
        if not own_code_of(spec):
            continue
        encoders_of = _encoders(spec)
        for encoder in encoders_of:
            cost(encoder, spec.data.length)
            if is_own(encoder.feed_forward):
                encoders[encoder] = None
        for transfer in _transfers(spec.recipe):
            if transfer.own_loss is not None:
                losses[transfer.own_loss, "feature maps", encoders_of[-1].hidden_size] = None
        if spec.recipe.pre_training.own_loss is not None:
            losses[spec.recipe.pre_training.own_loss, "logits", spec.student.vocab_size] = None
    if encoders:
        from model_zoo.own_feed_forward import try_feed_forward

        for encoder in encoders:
            try_feed_forward(encoder)
    if losses:
        from search.training.own_loss import try_loss

        for named, compared, width in losses:
            try_loss(named, compared, width)


def _encoders(spec: TrialSpec) -> list[EncoderConfig]:
    """The student, if it is one, and its teacher's."""
    found = [spec.student] if isinstance(spec.student, EncoderConfig) else []
    return found if spec.teacher is None else [*found, spec.teacher.encoder]


def _transfers(recipe: Recipe) -> list[KnowledgeTransfer]:
    distillation = recipe.fine_tuning.distillation
    stages = (recipe.knowledge_transfer, None if distillation is None else distillation.intermediate)
    return [stage for stage in stages if stage is not None]
