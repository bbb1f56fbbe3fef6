"""How an encoder is trained, as values: knowledge transfer, pre-training (with or without a teacher), fine-tuning."""

from dataclasses import dataclass
from typing import Literal


def _require(holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{rule}, got {value!r}")


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

    def __post_init__(self) -> None:
        _require(0 < self.learning_rate < float("inf"), "learning_rate must be above 0 and finite", self.learning_rate)
        _require(0 <= self.warmup <= 1, "warmup must be a share in [0, 1]", self.warmup)
        _require(0 <= self.final_share <= 1, "final_share must be a share in [0, 1]", self.final_share)
        _require(0 <= self.second_moment < 1, "second_moment must be in [0, 1)", self.second_moment)
        _require(self.weight_decay >= 0, "weight_decay must be at least 0", self.weight_decay)
        _require(self.clip_norm > 0, "clip_norm must be above 0", self.clip_norm)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeTransfer:
    """Progressive knowledge transfer (Sun et al. 2020, section 3.4): one phase per block, from the bottom up.

    Embeddings and masked-language head are copied from the teacher and frozen; in phase l only block l's loss is
    active, blocks below move at a tenth of its rate, dropout is off in both networks. Factors are those of the released
    command (google-research/mobilebert README).
    """

    steps: int
    """Of all phases together; a multiple of the number of blocks."""
    batch_size: int
    optimizer: Optimizer
    feature_map_factor: float = 100.0
    mean_factor: float = 5000.0
    variance_factor: float = 5.0
    attention_factor: float = 1.0
    average_heads: bool = False
    """Compare attention maps averaged over heads; needed wherever a study varies head counts."""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps of the knowledge transfer must be at least 1", self.steps)
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTraining:
    """Masked-language and next-sentence training; with `teacher_share` above 0 it is pre-training distillation.

    Loss = cross-entropy against (1 - teacher_share) x label + teacher_share x teacher's distribution, plus next
    sentence (Sun et al. 2020, section 3.3; the released command mixes half and half).
    """

    steps: int
    batch_size: int
    optimizer: Optimizer
    teacher_share: float = 0.0

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps of the pre-training must be at least 1", self.steps)
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
        _require(0 <= self.teacher_share <= 1, "teacher_share must be in [0, 1]", self.teacher_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """One pass per task, each from the pre-trained weights, with hard labels only."""

    steps: int
    batch_size: int
    optimizer: Optimizer

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps of the fine-tuning must be at least 1", self.steps)
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All of one training, in order."""

    knowledge_transfer: KnowledgeTransfer | None = None
    pre_training: PreTraining
    fine_tuning: FineTuning
    pooler: bool = False
    """Whether first-token heads have BERT's dense and tanh (the released student: no)."""

    @property
    def student_updates(self) -> int:
        """Optimizer steps before fine-tuning: what two arms must share to be compared at equal training."""
        transfer = self.knowledge_transfer.steps if self.knowledge_transfer else 0
        return transfer + self.pre_training.steps
