"""Which trials can be trained as one computation, and how far: values, no training."""

from collections.abc import Sequence

from model_zoo.bilstm_config import BiLSTMConfig
from search.fingerprint import fingerprint
from search.study import at_seed
from search.training.acceleration import OFF, Acceleration
from search.trial import TrialSpec

COMMON_SEED = 2**31
"""What trials are compared at: so large that an ensemble's seeds, which keep their distance, stay above 0."""
HOTTEST = 100.0
"""The temperature up to which a span's padding, whose logits are -10000, has a probability below 1e-43: nothing that a
sum in float32 can see."""


def unfit(spec: TrialSpec, acceleration: Acceleration = OFF) -> str:
    """Why a trial cannot be trained as one of several replicas, in a few words; "" where it can."""
    if isinstance(spec.student, BiLSTMConfig):
        return "a BiLSTM packs its rows by their lengths, which differ from seed to seed"
    transfer, pre_training = spec.recipe.knowledge_transfer, spec.recipe.pre_training
    auxiliary = transfer is not None and transfer.strategy == "auxiliary"
    on_labels = pre_training.steps > 0 and not pre_training.distils and not auxiliary
    encoders = [spec.student, *(teacher.encoder for teacher in spec.teachers)]
    reasons = {
        "dropout, which training on labels has, is drawn for one seed at a time": on_labels and _drops(spec),
        "the triple loss reads another number of tokens in every seed's batch": pre_training.triple is not None,
        "a loss of one's own is given one seed's tensors": pre_training.own_loss is not None
        or (transfer is not None and transfer.own_loss is not None),
        "a feed-forward of one's own is given one seed's tensors": any(
            encoder.feed_forward != "dense" for encoder in encoders
        ),
        "compiled blocks have one seed's weights": acceleration.compiled != "nothing",
        "several processes train one seed": acceleration.ranks.size > 1,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def unfit_tasks(spec: TrialSpec) -> str:
    """Why the tasks of a replica are fine-tuned one seed at a time, in a few words; "" where they are not."""
    tuning, tasks = spec.recipe.fine_tuning, spec.data.tasks
    distillation = tuning.distillation
    intermediate = None if distillation is None else distillation.intermediate
    reasons = {
        "a multi-task student takes its tasks in another order with every seed": tuning.multi_task,
        "dropout, which fine-tuning has, is drawn for one seed at a time": _drops(spec),
        "a loss of one's own is given one seed's tensors": intermediate is not None
        and intermediate.own_loss is not None,
        f"above a temperature of {HOTTEST:g} a span's padding counts": distillation is not None
        and distillation.temperature > HOTTEST
        and any(task.kind == "span" for task in tasks),
    }
    return next((reason for reason, holds in reasons.items() if holds and tasks), "")


def check_replicas(specs: Sequence[TrialSpec], acceleration: Acceleration = OFF) -> None:
    """Raises ValueError unless the trials are one trial with different seeds, of a kind that can be stacked."""
    if len({fingerprint(spec) for spec in specs}) < len(specs) or len({arm_mark(spec) for spec in specs}) != 1:
        seeds = ", ".join(str(spec.seed) for spec in specs)
        raise ValueError(
            f"replicas are one trial with different seeds, got {len(specs)} trials of seeds {seeds} that are not; "
            "train them one at a time"
        )
    reason = unfit(specs[0], acceleration)
    if reason:
        raise ValueError(f"replicas are trained as one computation, got trials that cannot be: {reason}; use 1 replica")


def arm_mark(spec: TrialSpec) -> str:
    """What trials that differ in nothing but their seed have in common."""
    return fingerprint(at_seed(spec, COMMON_SEED))


def _drops(spec: TrialSpec) -> bool:
    return max(spec.encoder.hidden_dropout, spec.encoder.attention_dropout) > 0
