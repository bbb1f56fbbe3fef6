"""What the scales share: encoders, recipes and data of every study, from smoke to the paper's own sizes.

The ratios that the paper's argument rests on survive the scaling: intra : inter is 1 : 4 in the student and 2 : 1 in
the teacher, a feed-forward is four times as wide as the bottleneck, teacher and student have four heads, the student
stacks four feed-forwards.
"""

from dataclasses import dataclass, replace
from typing import Literal

from model_zoo.config import EncoderConfig
from search.data.generated_spec import GeneratorSpec
from search.data.source import DataSources
from search.data.spec import DataSpec
from search.latency.case import LatencyCase
from search.recipe import FineTuning, KnowledgeTransfer, Optimizer, PreTraining, Recipe
from search.study import Scale, Scaling
from search.trial import TrialSpec

GENERATED_TASKS = ("acceptability", "sentiment", "entailment", "answering", "similarity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The numbers of one scale."""

    num_layers: int
    hidden_size: int
    embedding_size: int
    length: int
    text_length: int
    """Tokens per sequence of a corpus that the user brings: real sentences are longer than the built-in language's."""
    vocab_size: int
    """Pieces trained on a corpus that the user brings; the built-in language has its own vocabulary."""
    batch_size: int
    teacher_steps: int
    transfer_steps: int
    distillation_steps: int
    teacher_tuning_steps: int
    """Per task."""
    student_tuning_steps: int
    tuning_batch_size: int
    optimizer: Literal["lamb", "adamw"]
    teacher_rate: float
    transfer_rate: float
    distillation_rate: float
    teacher_tuning_rate: float
    student_tuning_rate: float
    second_moment: float
    """Adam's beta 2: short trainings want a shorter memory than the usual 0.999."""
    dropout: float
    """Of the teacher's hidden maps and of attention; the small scales see more text than they can learn by heart."""
    initializer_range: float
    latency: LatencyCase
    latency_rounds: int
    latency_control_width: float
    """The widest interval of the A/A control with which a latency session is kept."""
    generator: GeneratorSpec


_CPU = Size(
    num_layers=3,
    hidden_size=64,
    embedding_size=32,
    length=32,
    text_length=64,
    vocab_size=4000,
    batch_size=32,
    teacher_steps=3000,
    transfer_steps=300,
    distillation_steps=900,
    teacher_tuning_steps=375,
    student_tuning_steps=250,
    tuning_batch_size=32,
    optimizer="adamw",
    teacher_rate=2e-3,
    transfer_rate=4e-3,
    distillation_rate=4e-3,
    teacher_tuning_rate=1e-3,
    student_tuning_rate=2e-3,
    second_moment=0.98,
    dropout=0.0,
    initializer_range=0.1,
    latency=LatencyCase(batch=32, length=32),
    latency_rounds=40,
    latency_control_width=0.1,
    generator=GeneratorSpec(),
)

SIZES: dict[Scale, Size] = {
    "smoke": replace(
        _CPU,
        num_layers=2,
        teacher_steps=900,
        transfer_steps=80,
        distillation_steps=200,
        teacher_tuning_steps=150,
        student_tuning_steps=100,
        latency_rounds=20,
        latency_control_width=0.3,
    ),
    "cpu": _CPU,
    "gpu": replace(
        _CPU,
        num_layers=12,
        hidden_size=256,
        embedding_size=64,
        length=128,
        text_length=128,
        vocab_size=8000,
        batch_size=256,
        teacher_steps=8000,
        transfer_steps=2400,
        distillation_steps=5000,
        teacher_tuning_steps=1000,
        student_tuning_steps=1000,
        optimizer="lamb",
        teacher_rate=1.5e-3,
        transfer_rate=1.5e-3,
        distillation_rate=1.5e-3,
        teacher_tuning_rate=1e-4,
        student_tuning_rate=1e-4,
        second_moment=0.999,
        dropout=0.1,
        initializer_range=0.02,
        latency=LatencyCase(batch=1, length=128, device="cuda"),
        latency_rounds=60,
    ),
    "paper": replace(
        _CPU,
        num_layers=24,
        hidden_size=512,
        embedding_size=128,
        length=512,
        text_length=512,
        vocab_size=30522,
        batch_size=4096,
        teacher_steps=500_000,
        transfer_steps=240_000,
        distillation_steps=500_000,
        teacher_tuning_steps=20_000,
        student_tuning_steps=20_000,
        optimizer="lamb",
        teacher_rate=1.5e-3,
        transfer_rate=1.5e-3,
        distillation_rate=1.5e-3,
        teacher_tuning_rate=5e-5,
        student_tuning_rate=5e-5,
        second_moment=0.999,
        dropout=0.1,
        initializer_range=0.02,
        latency=LatencyCase(batch=1, length=128),
        latency_rounds=60,
    ),
}


def sources(scale: Scale) -> DataSources:
    """The built-in language with all its tasks."""
    size = SIZES[scale]
    return DataSources(length=size.length, vocab_size=size.vocab_size, tasks=GENERATED_TASKS, generator=size.generator)


def teacher_encoder(scale: Scale, data: DataSpec) -> EncoderConfig:
    """The inverted-bottleneck teacher (Sun et al. 2020, Table 1, IB-BERT) at this scale."""
    size = SIZES[scale]
    return EncoderConfig(
        num_layers=size.num_layers,
        hidden_size=size.hidden_size,
        bottleneck_size=2 * size.hidden_size,
        num_heads=4,
        feed_forward_size=8 * size.hidden_size,
        embedding_size=size.embedding_size,
        vocab_size=data.vocab_size,
        hidden_dropout=size.dropout,
        attention_dropout=size.dropout,
        max_positions=max(latency_case(scale, data).length, data.length),
        initializer_range=size.initializer_range,
    )


def student_encoder(scale: Scale, data: DataSpec) -> EncoderConfig:
    """The paper's student (Sun et al. 2020, Table 1, MobileBERT) at this scale."""
    teacher = teacher_encoder(scale, data)
    narrow = teacher.hidden_size // 4
    return replace(
        teacher,
        bottleneck_size=narrow,
        feed_forward_size=4 * narrow,
        num_feed_forward=4,
        norm="no_norm",
        activation="relu",
        hidden_dropout=0.0,
    )


def teacher_trial(scale: Scale, data: DataSpec, seed: int) -> TrialSpec:
    """The teacher's own training: masked language and next sentence, then every task."""
    size = SIZES[scale]
    pre_training = PreTraining(
        steps=size.teacher_steps, batch_size=size.batch_size, optimizer=optimizer(size, size.teacher_rate)
    )
    recipe = Recipe(
        pre_training=pre_training,
        fine_tuning=FineTuning(
            steps=size.teacher_tuning_steps,
            batch_size=size.tuning_batch_size,
            optimizer=replace(optimizer(size, size.teacher_tuning_rate), kind="adamw"),
        ),
    )
    return TrialSpec(student=teacher_encoder(scale, data), recipe=recipe, data=data, seed=seed)


def student_trial(scale: Scale, data: DataSpec, seed: int, *, average_heads: bool) -> TrialSpec:
    """The paper's student with progressive transfer, then distillation half from labels and half from the teacher."""
    size = SIZES[scale]
    transfer = KnowledgeTransfer(
        steps=size.transfer_steps,
        batch_size=size.batch_size,
        optimizer=replace(optimizer(size, size.transfer_rate), final_share=1.0),
        average_heads=average_heads,
    )
    distillation = PreTraining(
        steps=size.distillation_steps,
        batch_size=size.batch_size,
        optimizer=optimizer(size, size.distillation_rate),
        teacher_share=0.5,
    )
    recipe = Recipe(knowledge_transfer=transfer, pre_training=distillation, fine_tuning=student_tuning(size))
    teacher = teacher_trial(scale, data, seed)
    return TrialSpec(student=student_encoder(scale, data), recipe=recipe, data=data, seed=seed, teacher=teacher)


def optimizer(size: Size, rate: float) -> Optimizer:
    """The scale's optimizer with a peak learning rate."""
    return Optimizer(kind=size.optimizer, learning_rate=rate, second_moment=size.second_moment)


def latency_case(scale: Scale, data: DataSpec) -> LatencyCase:
    """The scale's case; the CPU scales measure batches as long as the data."""
    case = SIZES[scale].latency
    return replace(case, length=data.length) if scale in ("smoke", "cpu") else case


def student_tuning(size: Size) -> FineTuning:
    """The student's fine-tuning, one pass per task."""
    return FineTuning(
        steps=size.student_tuning_steps,
        batch_size=size.tuning_batch_size,
        optimizer=replace(optimizer(size, size.student_tuning_rate), kind="adamw"),
    )


def scaling(scale: Scale, data: DataSpec) -> tuple[Scaling, ...]:
    """What is smaller than in the paper, beside the paper's value."""
    if scale == "paper":
        return ()
    size, paper = SIZES[scale], SIZES["paper"]
    pairs = (
        ("blocks", paper.num_layers, size.num_layers),
        ("h_inter", paper.hidden_size, size.hidden_size),
        ("h_intra of the student", paper.hidden_size // 4, size.hidden_size // 4),
        ("h_intra of the teacher", 2 * paper.hidden_size, 2 * size.hidden_size),
        ("embedding width", paper.embedding_size, size.embedding_size),
        ("word pieces", paper.vocab_size, data.vocab_size),
        ("tokens per sequence", paper.length, data.length),
        ("sequences per batch", paper.batch_size, size.batch_size),
        ("teacher's steps", paper.teacher_steps, size.teacher_steps),
        ("knowledge-transfer steps", paper.transfer_steps, size.transfer_steps),
        ("distillation steps", paper.distillation_steps, size.distillation_steps),
    )
    rows = [Scaling(what=what, paper=f"{large:,}", here=f"{small:,}") for what, large, small in pairs]
    return (*rows, Scaling(what="optimizer", paper="LAMB", here={"lamb": "LAMB", "adamw": "AdamW"}[size.optimizer]))
