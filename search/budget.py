"""What a training costs on GPUs, to the last number, from the values alone: steps, tokens, FLOPs, memory, GPU-hours.

The stages are those that training runs (`search/training/planned.py`); what their updates run is in `search/passes.py`,
what they hold in `search/held.py`. Sequences are counted at full length. Knows nothing of torch and measures nothing:
how much of a GPU's peak is sustained is an assumption, and called so.
"""

from dataclasses import dataclass, replace

from model_zoo.bilstm_config import BiLSTMConfig, Form, bilstm_cost
from model_zoo.student import student_cost
from search.held import Memory, bilstm_memory, encoder_memory
from search.passes import BACKWARD_PASSES, Pass, num_outputs, passes_of, student_flops, task_answers, teacher_flops
from search.training.planned import PlannedStage, planned_stages
from search.trial import TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A graphics processor as its maker describes it."""

    name: str
    peak_flops_per_second: float
    """Of dense bfloat16 matrix products with float32 sums."""
    memory_bytes: int
    source: str


H100 = Gpu(
    name="NVIDIA H100 SXM",
    peak_flops_per_second=989.5e12,
    memory_bytes=80_000_000_000,
    source="NVIDIA H100 datasheet: bfloat16 1,979 TFLOPS with sparsity, half of it dense; 80 GB",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What a plan takes for granted."""

    gpu: Gpu = H100
    share_of_peak: float = 0.4
    """Sustained by the training; an assumption, not a measurement."""
    micro_batch: int = 32
    """Most sequences that one GPU runs at once; a larger batch is gathered from several."""
    activation_bytes: int = 2
    """Of each number kept for the backward pass: bfloat16."""

    def __post_init__(self) -> None:
        if not 0 < self.share_of_peak <= 1:
            raise ValueError(f"share_of_peak must be above 0 and at most 1, got {self.share_of_peak}")
        if self.micro_batch < 1:
            raise ValueError(f"micro_batch must be at least 1, got {self.micro_batch}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBudget:
    """One stage of one training."""

    name: str
    steps: int
    batch_size: int
    length: int
    student_flops: int
    """Of all steps, forward and backward."""
    teacher_flops: int
    """Of all steps, forward alone."""
    memory: Memory

    @property
    def tokens_per_step(self) -> int:
        """Padding included."""
        return self.batch_size * self.length

    @property
    def tokens(self) -> int:
        """Of all steps."""
        return self.steps * self.tokens_per_step

    @property
    def flops(self) -> int:
        """Of student and teacher."""
        return self.student_flops + self.teacher_flops


def gpu_hours(flops: int, assumed: Assumptions) -> float:
    """Hours of one GPU at the assumed share of its peak."""
    return flops / (assumed.gpu.peak_flops_per_second * assumed.share_of_peak) / 3600


def stages_of(spec: TrialSpec, assumed: Assumptions) -> tuple[StageBudget, ...]:
    """Every stage of one trial, the same that training runs; its teacher's own training is another trial's."""
    student = spec.student
    if isinstance(student, BiLSTMConfig):
        return tuple(_bilstm_stage(spec, student, planned, assumed) for planned in planned_stages(spec))
    return tuple(_stage(spec, planned, assumed) for planned in planned_stages(spec))


def _stage(spec: TrialSpec, planned: PlannedStage, assumed: Assumptions) -> StageBudget:
    passes = passes_of(spec, planned)
    assert sum(one.updates for one in passes) == planned.updates
    return StageBudget(
        name=planned.name,
        steps=planned.updates,
        batch_size=planned.batch_size,
        length=spec.data.length,
        student_flops=sum(one.updates * planned.batch_size * student_flops(spec, one) for one in passes),
        teacher_flops=sum(one.updates * planned.batch_size * teacher_flops(spec, one) for one in passes),
        memory=encoder_memory(spec, planned, assumed.micro_batch, assumed.activation_bytes),
    )


def _bilstm_stage(spec: TrialSpec, config: BiLSTMConfig, planned: PlannedStage, assumed: Assumptions) -> StageBudget:
    """Counted in its form for pairs, the largest; for a span the dense layer reads every token."""
    (task,), length = planned.tasks, spec.data.length
    is_span = task.kind == "span"
    form: Form = "sentence" if is_span else "pair"
    own = replace(config, form=form, num_outputs=num_outputs(task))
    tokens = length if is_span else 1
    lstm = next(part.flops for part in student_cost(config, length).components if part.name == "lstm")
    heads = 2 * tokens * config.dense_size * (own.feature_size + own.num_outputs)
    sequences, distils = planned.updates * planned.batch_size, spec.recipe.fine_tuning.distillation is not None
    answers = Pass(
        updates=planned.updates,
        blocks=0,
        trained_blocks=0,
        trains_embedding=False,
        answers=task_answers(spec, task) if distils else (),
    )
    kept = length * (config.embedding_size + 12 * config.hidden_size) + tokens * config.dense_size
    parameters = bilstm_cost(own, length).parameters
    return StageBudget(
        name=planned.name,
        steps=planned.updates,
        batch_size=planned.batch_size,
        length=length,
        student_flops=(1 + BACKWARD_PASSES) * sequences * (lstm + heads),
        teacher_flops=sequences * teacher_flops(spec, answers),
        memory=bilstm_memory(spec, planned, parameters, kept, assumed.micro_batch, assumed.activation_bytes),
    )
