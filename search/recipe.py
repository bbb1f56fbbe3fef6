"""How an encoder is trained, as values: knowledge transfer, pre-training (with or without a teacher), fine-tuning."""

from dataclasses import dataclass
from typing import Literal

from model_zoo.own_code import is_own
from model_zoo.short_html import short_table, told_fields

_FACTORS = ("feature_map_factor", "mean_factor", "variance_factor", "attention_factor", "embedding_factor")


def _require(holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{rule}, got {value!r}")


def _check_own_loss(named: str | None, factor: float) -> None:
    _require(0 <= factor < float("inf"), "own_factor must be at least 0 and finite", factor)
    if named is not None and not is_own(named):
        raise ValueError(
            f"own_loss must be None or what own('module:name') gives, got {named!r}; take it from "
            "model_zoo.own_code.own"
        )
    if named is not None and not factor:
        raise ValueError("own_factor must be above 0 where there is an own_loss, got 0; set own_loss=None instead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """An optimizer and its learning-rate schedule: linear warm-up, then linear decay to `final_share` of the peak."""

    kind: Literal["lamb", "adamw"] = "adamw"
    learning_rate: float
    warmup: float = 0.1
    """Share of the steps spent warming up."""
    final_share: float = 0.0
    """Learning rate at the last step over the peak; 1 keeps it constant after the warm-up."""
    second_moment: float = 0.999
    """Decay of the second moment (beta 2); short trainings want a shorter memory."""
    weight_decay: float = 0.01
    """Decoupled; never on biases and norms."""
    clip_norm: float = 1.0
    """Global gradient norm."""
    decay_power: float = 1.0
    """Of the decay after the warm-up: 1 is linear, another number polynomial."""
    layer_decay: float = 1.0
    """Rate of one block over that of the block above it; heads have the full rate, embeddings count as the block below
    the lowest. In pre-training and fine-tuning alone: knowledge transfer has rates of its own."""
    bias_correction: bool = False
    """LAMB's: whether both moments are divided by 1 - beta^t, as in the paper; the released code does not. AdamW always
    does."""

    def __post_init__(self) -> None:
        _require(0 < self.learning_rate < float("inf"), "learning_rate must be above 0 and finite", self.learning_rate)
        _require(0 <= self.warmup <= 1, "warmup must be a share in [0, 1]", self.warmup)
        _require(0 <= self.final_share <= 1, "final_share must be a share in [0, 1]", self.final_share)
        _require(0 <= self.second_moment < 1, "second_moment must be in [0, 1)", self.second_moment)
        _require(self.weight_decay >= 0, "weight_decay must be at least 0", self.weight_decay)
        _require(self.clip_norm > 0, "clip_norm must be above 0", self.clip_norm)
        _require(0 < self.decay_power < float("inf"), "decay_power must be above 0 and finite", self.decay_power)
        _require(0 < self.layer_decay <= 1, "layer_decay must be above 0 and at most 1", self.layer_decay)
        if self.bias_correction and self.kind == "adamw":
            raise ValueError("bias_correction is a choice of LAMB, AdamW always corrects; got it with kind='adamw'")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeTransfer:
    """What a student's blocks copy from a teacher's (Sun et al. 2020, section 3), and in which order.

    Dropout is off in both networks. Whatever is copied from the teacher at the start stands still while blocks are
    taught by `progressive` and `joint`; embeddings that are not copied learn with the lowest block. Factors are those
    of the released command (google-research/mobilebert README); a factor of 0 switches its term off.
    """

    steps: int
    """Of all phases together; for `progressive` a multiple of the number of blocks."""
    batch_size: int
    optimizer: Optimizer
    feature_map_factor: float = 100.0
    mean_factor: float = 5000.0
    """Of the released form alone."""
    variance_factor: float = 5.0
    """Of the released form alone."""
    attention_factor: float = 1.0
    average_heads: bool = False
    """Compare attention maps averaged over heads; needed wherever a study varies head counts."""
    strategy: Literal["progressive", "joint", "auxiliary"] = "progressive"
    """`progressive` (PKT): one phase per block, from the bottom up, with the released code's own rates by phase;
    `joint` (JKT): all blocks at once; `auxiliary` (AKT): the blocks' mean loss is added to that of the pre-training,
    one stage as long as both, and batches and optimizer must be the pre-training's."""
    feature_map_form: Literal["released", "paper"] = "released"
    """`released`: normalised maps, means and variances; `paper`: the plain mean squared difference."""
    attention_form: Literal["divergence", "cross_entropy", "scores"] = "divergence"
    """`divergence`: KL of the maps (the paper); `cross_entropy`: the released code; `scores`: mean squared difference
    before the softmax (TinyBERT)."""
    embedding_factor: float = 0.0
    """Of the mean squared difference of embeddings (TinyBERT)."""
    layer_map: tuple[int, ...] = ()
    """The teacher's block for each of the student's, from 0; empty compares block l with block l."""
    projection: bool = False
    """Compare maps after a learned projection to the teacher's width, one for all blocks (TinyBERT)."""
    freeze: Literal["soft", "hard"] = "soft"
    """Whether blocks below the phase's block move at a tenth of its rate or stand still."""
    copied: Literal["embeddings_and_heads", "embeddings", "nothing"] = "embeddings_and_heads"
    """What the student starts with from its teacher."""
    own_loss: str | None = None
    """A term of one's own for the feature maps of matched blocks, as `model_zoo.own_code.own` names it: a function of
    (student, teacher, mask), see CONTRIBUTING.md. It is added to the others."""
    own_factor: float = 1.0

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps of the knowledge transfer must be at least 1", self.steps)
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
        for name in _FACTORS:
            _require(
                0 <= getattr(self, name) < float("inf"), f"{name} must be at least 0 and finite", getattr(self, name)
            )
        _check_own_loss(self.own_loss, self.own_factor)
        if not (self.compares_maps or self.attention_factor or self.embedding_factor):
            raise ValueError("a knowledge transfer needs a factor above 0, got 0 for all of them; leave it out instead")
        if self.strategy == "progressive" and not (self.compares_maps or self.attention_factor):
            raise ValueError(
                "strategy='progressive' trains block by block: it needs a factor of maps or attention above 0, got "
                f"embedding_factor={self.embedding_factor!r} alone; use strategy='joint'"
            )
        if self.embedding_factor and self.copied != "nothing":
            raise ValueError(
                f"embeddings that are copied have nothing left to learn: embedding_factor must be 0, got "
                f"{self.embedding_factor!r}; set copied='nothing'"
            )
        if self.freeze == "hard" and self.strategy != "progressive":
            raise ValueError(f"freeze='hard' is for the phases of strategy='progressive', got {self.strategy!r}")
        _require(all(block >= 0 for block in self.layer_map), "layer_map counts blocks from 0", self.layer_map)

    @property
    def compares_maps(self) -> bool:
        """Whether feature maps are needed at all."""
        return self.compares_maps_itself or self.own_loss is not None

    @property
    def compares_maps_itself(self) -> bool:
        """Whether any term of `feature_map_form` is on."""
        statistics = self.feature_map_form == "released" and (self.mean_factor > 0 or self.variance_factor > 0)
        return self.feature_map_factor > 0 or statistics

    @property
    def compares_attention(self) -> bool:
        """Whether attention scores are needed at all."""
        return self.attention_factor > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TripleLoss:
    """DistilBERT's pre-training loss (Sanh et al. 2019) in place of distillation's; there is no next-sentence term."""

    temperature: float = 2.0
    distillation_factor: float = 5.0
    language_factor: float = 2.0
    cosine_factor: float = 1.0

    def __post_init__(self) -> None:
        _require(0 < self.temperature < float("inf"), "temperature must be above 0 and finite", self.temperature)
        for name in ("distillation_factor", "language_factor", "cosine_factor"):
            _require(
                0 <= getattr(self, name) < float("inf"), f"{name} must be at least 0 and finite", getattr(self, name)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTraining:
    """Masked-language and next-sentence training; with `teacher_share` above 0 it is pre-training distillation.

    Loss = cross-entropy against (1 - teacher_share) x label + teacher_share x teacher's distribution, plus next
    sentence (Sun et al. 2020, section 3.3; the released command mixes half and half).
    """

    steps: int
    """0 leaves the stage out."""
    batch_size: int
    optimizer: Optimizer
    teacher_share: float = 0.0
    triple: TripleLoss | None = None
    """DistilBERT's loss instead; then teacher_share stays 0."""
    own_loss: str | None = None
    """A term of one's own for the logits at masked positions, as `model_zoo.own_code.own` names it: a function of
    (student, teacher, labels), see CONTRIBUTING.md. It is added to the loss of a teacher's share."""
    own_factor: float = 1.0

    def __post_init__(self) -> None:
        _require(self.steps >= 0, "steps of the pre-training must be at least 0", self.steps)
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
        _require(0 <= self.teacher_share <= 1, "teacher_share must be in [0, 1]", self.teacher_share)
        _check_own_loss(self.own_loss, self.own_factor)
        if self.own_loss is not None and not self.teacher_share:
            raise ValueError(
                "own_loss of the pre-training compares with a teacher: teacher_share must be above 0, got "
                f"{self.teacher_share!r}"
            )
        if self.triple is not None and self.teacher_share > 0:
            raise ValueError(
                f"the triple loss has factors of its own: teacher_share must be 0, got {self.teacher_share!r}"
            )

    @property
    def distils(self) -> bool:
        """Whether the loss needs a teacher."""
        return self.teacher_share > 0 or self.triple is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientStates:
    """Patient knowledge distillation (Sun et al. 2019): [CLS] states of the student's blocks but the last."""

    factor: float = 500.0
    """The paper's beta."""
    layer_map: tuple[int, ...]
    """The teacher's block for each of the student's but the last, from 0 (`search.matching`: skip_map, last_map)."""

    def __post_init__(self) -> None:
        _require(0 < self.factor < float("inf"), "factor of the patient states must be above 0 and finite", self.factor)
        _require(len(self.layer_map) >= 1, "layer_map of the patient states must name a block", self.layer_map)
        _require(all(block >= 0 for block in self.layer_map), "layer_map counts blocks from 0", self.layer_map)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDistillation:
    """What fine-tuning copies from the teacher's own fine-tuned network of the same task.

    Loss = (1 - teacher_share) x labels + teacher_share x logits + patient states. Soft logits, Tang et al., PKD,
    TinyBERT's second stage and MT-DNN's distillation are settings of it.
    """

    teacher_share: float
    logits: Literal["soft", "squared_error", "prediction"] = "soft"
    """`soft`: T^2 KL (Hinton, PKD); `squared_error`: Tang et al.; `prediction`: TinyBERT's soft cross-entropy, with
    which a regression keeps to its labels. Otherwise a regression takes the squared difference from the teacher's."""
    temperature: float = 1.0
    patient: PatientStates | None = None
    intermediate: KnowledgeTransfer | None = None
    """A stage before: the blocks copy those of the fine-tuned teacher on the task's rows (TinyBERT)."""

    def __post_init__(self) -> None:
        _require(0 < self.teacher_share <= 1, "teacher_share must be in (0, 1]", self.teacher_share)
        _require(0 < self.temperature < float("inf"), "temperature must be above 0 and finite", self.temperature)
        if self.logits == "squared_error" and self.temperature != 1.0:
            raise ValueError(
                f"squared_error compares logits as they are: temperature must be 1, got {self.temperature!r}"
            )
        stage = self.intermediate
        if stage is not None and (stage.strategy != "joint" or stage.copied != "nothing"):
            raise ValueError(
                "the intermediate stage of a task teaches all blocks at once and copies nothing: it needs "
                f"strategy='joint' and copied='nothing', got {stage.strategy!r} and {stage.copied!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """One pass per task, each from the pre-trained weights; with hard labels only unless `distillation` is given."""

    steps: int
    """For each task."""
    batch_size: int
    optimizer: Optimizer
    distillation: TaskDistillation | None = None
    multi_task: bool = False
    """One encoder for all tasks, each update a batch of one of them (Liu et al. 2019, MT-DNN)."""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps of the fine-tuning must be at least 1", self.steps)
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
        if self.multi_task and self.distillation is not None:
            for name in ("patient", "intermediate"):
                if getattr(self.distillation, name) is not None:
                    raise ValueError(f"a multi-task student copies logits only, got {name} too; set multi_task=False")

    @property
    def updates_per_task(self) -> int:
        """Optimizer steps for each task, an intermediate stage included."""
        stage = None if self.distillation is None else self.distillation.intermediate
        return self.steps + (0 if stage is None else stage.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All of one training, in order."""

    knowledge_transfer: KnowledgeTransfer | None = None
    pre_training: PreTraining
    fine_tuning: FineTuning
    pooler: bool = False
    """Whether first-token heads have BERT's dense and tanh (the released student: no)."""
    copied_blocks: tuple[int, ...] = ()
    """The teacher's block that each block of the student starts from, embeddings and heads with them (DistilBERT, PKD);
    empty starts blocks at random."""

    def _repr_html_(self) -> str:
        """In a notebook: every setting without a default or away from it."""
        return short_table("Recipe", told_fields(self))

    def __post_init__(self) -> None:
        transfer = self.knowledge_transfer
        if transfer is None or transfer.strategy != "auxiliary":
            return
        for name in ("batch_size", "optimizer"):
            if getattr(transfer, name) != getattr(self.pre_training, name):
                raise ValueError(
                    f"auxiliary transfer is one stage with the pre-training: {name} must be equal, got "
                    f"{getattr(transfer, name)} and {getattr(self.pre_training, name)}"
                )

    @property
    def student_updates(self) -> int:
        """Optimizer steps before fine-tuning: what two arms must share to be compared at equal training."""
        transfer = self.knowledge_transfer.steps if self.knowledge_transfer else 0
        return transfer + self.pre_training.steps

    @property
    def needs_teacher(self) -> bool:
        """Whether any stage copies from a teacher."""
        stages = (self.knowledge_transfer, self.fine_tuning.distillation)
        return any(stage is not None for stage in stages) or self.pre_training.distils or bool(self.copied_blocks)
