"""What a training costs on GPUs, to the last number, from the values alone: steps, tokens, FLOPs, memory, GPU-hours.

FLOPs are 2 x multiply-adds as in `model_zoo.cost`; a training step is counted as three forward passes of what it runs,
a teacher as one. Sequences are counted at full length. Knows nothing of torch and measures nothing: how much of a GPU's
peak is sustained is an assumption, and called so.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from model_zoo.bilstm_config import BiLSTMConfig, bilstm_cost
from model_zoo.config import EncoderConfig
from model_zoo.cost import ComponentCost, cost, feed_forward_numbers
from model_zoo.student import student_cost
from search.data.spec import TaskSpec
from search.trial import TrialSpec

TRAINING_PASSES = 3
"""Forward and backward of a training step, in forward passes."""
NUMBER_BYTES = 4
"""Weights, gradients and both moments are float32."""
MASKED_SHARE = 0.15
SPECIAL_TOKENS = 3


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
class Memory:
    """Bytes on one GPU."""

    weights: int
    gradients: int
    moments: int
    teacher_weights: int
    activations: int
    """See `kept_numbers`."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.moments + self.teacher_weights + self.activations


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
    """Every stage of one trial; its teacher's own training is another trial's."""
    if isinstance(spec.student, BiLSTMConfig):
        return tuple(_bilstm_tuning(spec, spec.student, task, assumed) for task in spec.data.tasks)
    transfer = (_transfer(spec, assumed),) if spec.recipe.knowledge_transfer else ()
    tuning = tuple(_fine_tuning(spec, task, assumed) for task in spec.data.tasks)
    return (*transfer, _pre_training(spec, assumed), *tuning)


def _transfer(spec: TrialSpec, assumed: Assumptions) -> StageBudget:
    """Phase l runs the lowest l blocks of both networks and trains blocks alone; no head takes part."""
    transfer, teacher = spec.recipe.knowledge_transfer, spec.teacher
    assert transfer is not None and teacher is not None
    sequences = transfer.steps // spec.encoder.num_layers * transfer.batch_size
    blocks = cost(spec.encoder).parameters - _embedding(spec.encoder, spec.data.length).parameters
    return StageBudget(
        name="knowledge transfer",
        steps=transfer.steps,
        batch_size=transfer.batch_size,
        length=spec.data.length,
        student_flops=TRAINING_PASSES * sequences * _all_phases(spec.encoder, spec.data.length),
        teacher_flops=sequences * _all_phases(teacher.encoder, spec.data.length),
        memory=_memory(spec, transfer.batch_size, _Held(blocks, _pretrained_parameters(spec), True, False), assumed),
    )


def _pre_training(spec: TrialSpec, assumed: Assumptions) -> StageBudget:
    recipe, length = spec.recipe.pre_training, spec.data.length
    sequences = recipe.steps * recipe.batch_size
    distils = spec.teacher is not None and recipe.teacher_share > 0
    parameters = _pretrained_parameters(spec)
    return StageBudget(
        name="distillation" if distils else "pre-training",
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        length=length,
        student_flops=TRAINING_PASSES * sequences * _pretraining_flops(spec.encoder, length, spec.recipe.pooler),
        teacher_flops=sequences * _teacher_flops(spec) if distils else 0,
        memory=_memory(spec, recipe.batch_size, _Held(parameters, parameters, distils, True), assumed),
    )


def _fine_tuning(spec: TrialSpec, task: TaskSpec, assumed: Assumptions) -> StageBudget:
    """The encoder alone stays on the GPU, heads of pre-training are not needed; teachers where they are asked."""
    recipe, length, wide = spec.recipe.fine_tuning, spec.data.length, spec.encoder.hidden_size
    sequences = recipe.steps * recipe.batch_size
    outputs = {"classification": task.num_labels, "regression": 1, "span": 2}[task.kind]
    dense = spec.recipe.pooler and task.kind != "span"
    head = outputs * (wide + 1) + (wide * (wide + 1) if dense else 0)
    head_flops = 2 * wide * outputs * (length if task.kind == "span" else 1) + (2 * wide * wide if dense else 0)
    parameters = cost(spec.encoder).parameters + head
    asked = spec.teachers if recipe.distillation is not None else ()
    taught = sum(cost(teacher.encoder, length).flops for teacher in asked)
    return StageBudget(
        name=f"fine-tuning on {task.name}",
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        length=length,
        student_flops=TRAINING_PASSES * sequences * (cost(spec.encoder, length).flops + head_flops),
        teacher_flops=sequences * taught,
        memory=_memory(spec, recipe.batch_size, _Held(parameters, parameters, bool(asked), False), assumed),
    )


def _bilstm_tuning(spec: TrialSpec, config: BiLSTMConfig, task: TaskSpec, assumed: Assumptions) -> StageBudget:
    """Counted in its form for pairs, the largest; for a span the dense layer reads every token."""
    recipe, length = spec.recipe.fine_tuning, spec.data.length
    sequences, distils = recipe.steps * recipe.batch_size, recipe.distillation is not None
    is_span = task.kind == "span"
    task_config = replace(
        config, form="sentence" if is_span else "pair", num_outputs=task.num_labels or (2 if is_span else 1)
    )
    parameters = bilstm_cost(task_config, length).parameters
    total = student_cost(config, length)
    tokens = length if is_span else 1
    lstm = next(part.flops for part in total.components if part.name == "lstm")
    heads = 2 * tokens * config.dense_size * (task_config.feature_size + task_config.num_outputs)
    kept = length * (config.embedding_size + 12 * config.hidden_size) + tokens * config.dense_size
    return StageBudget(
        name=f"fine-tuning on {task.name}",
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        length=length,
        student_flops=TRAINING_PASSES * sequences * (lstm + heads),
        teacher_flops=sequences * sum(cost(one.encoder, length).flops for one in spec.teachers) if distils else 0,
        memory=Memory(
            weights=NUMBER_BYTES * parameters,
            gradients=NUMBER_BYTES * parameters,
            moments=2 * NUMBER_BYTES * parameters,
            teacher_weights=_teacher_bytes(spec) if distils else 0,
            activations=min(recipe.batch_size, assumed.micro_batch) * kept * assumed.activation_bytes,
        ),
    )


def _embedding(config: EncoderConfig, length: int) -> ComponentCost:
    return next(part for part in cost(config, length).components if part.name == "embedding")


def _all_phases(config: EncoderConfig, length: int) -> int:
    """Forward FLOPs of one sequence through l blocks, summed over l from 1 to all."""
    layers, total = config.num_layers, cost(config, length)
    embedding = _embedding(config, length).flops
    block = (total.flops - embedding) // layers
    return layers * embedding + block * layers * (layers + 1) // 2


def num_masked(length: int) -> int:
    """Tokens to be guessed in a full sequence."""
    return max(1, round(MASKED_SHARE * (length - SPECIAL_TOKENS)))


def head_parameters(config: EncoderConfig, *, pooler: bool) -> int:
    """Scalars of the masked-language head (its word table is the embedding's) and the next-sentence head."""
    wide, vocabulary = config.hidden_size, config.vocab_size
    masked = vocabulary * (wide - config.embedding_size) + vocabulary + wide * (wide + 1) + 2 * wide
    return masked + 2 * (wide + 1) + (wide * (wide + 1) if pooler else 0)


def _pretraining_flops(config: EncoderConfig, length: int, pooler: bool) -> int:
    """Forward FLOPs of one sequence with both heads."""
    wide = config.hidden_size
    masked = num_masked(length) * 2 * (wide * wide + wide * config.vocab_size)
    return cost(config, length).flops + masked + 2 * 2 * wide + (2 * wide * wide if pooler else 0)


def _teacher_flops(spec: TrialSpec) -> int:
    assert spec.teacher is not None
    return _pretraining_flops(spec.teacher.encoder, spec.data.length, _pooler_of(spec))


def _pooler_of(spec: TrialSpec) -> bool:
    teacher = spec.teacher
    assert teacher is not None
    return teacher.recipe.pooler if isinstance(teacher, TrialSpec) else teacher.pooler


def _pretrained_parameters(spec: TrialSpec) -> int:
    return cost(spec.encoder).parameters + head_parameters(spec.encoder, pooler=spec.recipe.pooler)


class _Held(NamedTuple):
    """What a stage has on the GPU."""

    trained: int
    """Parameters with a gradient and two moments."""
    parameters: int
    with_teacher: bool
    with_vocabulary: bool
    """Whether logits over the vocabulary are made."""


def _memory(spec: TrialSpec, batch_size: int, held: _Held, assumed: Assumptions) -> Memory:
    sequences = min(batch_size, assumed.micro_batch)
    kept = sequences * kept_numbers(spec.encoder, spec.data.length) * assumed.activation_bytes
    if held.with_vocabulary:  # logits and their softmax, in float32
        kept += sequences * num_masked(spec.data.length) * spec.encoder.vocab_size * 2 * NUMBER_BYTES
    return Memory(
        weights=NUMBER_BYTES * held.parameters,
        gradients=NUMBER_BYTES * held.trained,
        moments=2 * NUMBER_BYTES * held.trained,
        teacher_weights=_teacher_bytes(spec) if held.with_teacher else 0,
        activations=kept,
    )


def _teacher_bytes(spec: TrialSpec) -> int:
    configs = [teacher.encoder for teacher in spec.teachers]
    return NUMBER_BYTES * sum(cost(one).parameters + head_parameters(one, pooler=_pooler_of(spec)) for one in configs)


def kept_numbers(config: EncoderConfig, length: int) -> int:
    """Numbers that one sequence keeps for the backward pass.

    Counted: the output of every dense layer, norm and activation, and the attention weights. Not counted: dropout
    masks, the teacher's passing maps, copies, and what an allocator wastes.
    """
    wide, narrow = config.hidden_size, config.bottleneck_size
    bottlenecks = 0
    if config.use_bottleneck:
        into = 2 if config.attention_input == "shared_bottleneck" else 1
        bottlenecks = 2 * narrow * into + 2 * wide
    attention = 3 * narrow + config.num_heads * length + narrow + 2 * narrow
    feed_forward = length * 2 * narrow + feed_forward_numbers(config, length)
    embedding = 2 * wide
    blocks = config.num_layers * (length * (bottlenecks + attention) + config.num_feed_forward * feed_forward)
    return length * embedding + blocks
