"""The bytes that a stage of an encoder holds on its GPU at once, from the values alone. Knows nothing of torch.

Counted: every network that the training has there, gradients, moments, and what one update keeps until its backward
pass is over. Not counted: dropout masks, results that live within one operation or between two, the data, and what an
allocator wastes.
"""

from dataclasses import dataclass
from typing import NamedTuple

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from search.data.spec import TaskSpec
from search.kept import NUMBER_BYTES, activation_bytes_of
from search.passes import embedding_part, num_outputs, passes_of, pooler_of
from search.recipe import KnowledgeTransfer, Optimizer
from search.training.planned import PlannedStage, planned_stages
from search.trial import TrialSpec

LAMB_COPIES = 2
"""Tensors as large as a parameter group that LAMB makes while it steps: denominators and directions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one GPU."""

    weights: int
    """Of the network in training."""
    gradients: int
    moments: int
    """Both."""
    teacher_weights: int
    """Of the teachers that answer in this stage."""
    activations: int
    """What an update keeps for its backward pass, teachers' outputs and logits among it."""
    waiting: int = 0
    """Weights of the networks that the training holds beside: the pre-trained one and the finished tasks' during
    tasks, the teacher where nothing asks it."""
    stepping: int = 0
    """What the optimizer makes while it steps, after the activations have gone."""

    @property
    def total(self) -> int:
        """The most at once."""
        fixed = self.weights + self.gradients + self.moments + self.teacher_weights + self.waiting
        return fixed + max(self.activations, self.stepping)


class _Trained(NamedTuple):
    """Parameters that a stage's optimizer has; biases and norms are counted with their matrices."""

    all_of_them: int
    with_gradient: int
    """At once; others wait for their phase."""
    largest_group: int


def encoder_memory(spec: TrialSpec, planned: PlannedStage, micro_batch: int, activation_bytes: int) -> Memory:
    """What a stage of an encoder holds.

    Args:
        micro_batch: the most sequences at once.
        activation_bytes: of a number kept for the backward pass that is not always float32.
    """
    trained, optimizer = _trained(spec, planned)
    teachers = _answering(spec, planned)
    sequences = min(planned.batch_size, micro_batch)
    kept = max(activation_bytes_of(spec, one, sequences, activation_bytes) for one in passes_of(spec, planned))
    return Memory(
        weights=NUMBER_BYTES * _network_parameters(spec, planned),
        gradients=NUMBER_BYTES * trained.with_gradient,
        moments=2 * NUMBER_BYTES * trained.all_of_them,
        teacher_weights=NUMBER_BYTES * teachers,
        activations=kept,
        waiting=NUMBER_BYTES * _waiting(spec, planned),
        stepping=LAMB_COPIES * NUMBER_BYTES * trained.largest_group if optimizer.kind == "lamb" else 0,
    )


def head_parameters(config: EncoderConfig, *, pooler: bool) -> int:
    """Scalars of the masked-language head (its word table is the embedding's) and the next-sentence head."""
    wide, vocabulary = config.hidden_size, config.vocab_size
    masked = vocabulary * (wide - config.embedding_size) + vocabulary + wide * (wide + 1) + 2 * wide
    return masked + 2 * (wide + 1) + (wide * (wide + 1) if pooler else 0)


def task_head_parameters(config: EncoderConfig, task: TaskSpec, *, pooler: bool) -> int:
    """Scalars of a task's head."""
    wide = config.hidden_size
    dense = wide * (wide + 1) if pooler and task.kind != "span" else 0
    return dense + num_outputs(task) * (wide + 1)


def teacher_task_parameters(spec: TrialSpec, task: TaskSpec) -> int:
    """Of every teacher's own network of a task."""
    return sum(
        cost(teacher.encoder).parameters
        + task_head_parameters(
            teacher.encoder,
            task,
            pooler=teacher.recipe.pooler if isinstance(teacher, TrialSpec) else teacher.pooler,
        )
        for teacher in spec.teachers
    )


def _pretrained_parameters(spec: TrialSpec) -> int:
    return cost(spec.encoder).parameters + head_parameters(spec.encoder, pooler=spec.recipe.pooler)


def _teacher_parameters(spec: TrialSpec) -> int:
    """Of the teacher as it was pre-trained, where there is one."""
    if spec.teacher is None:
        return 0
    config = spec.teacher.encoder
    return cost(config).parameters + head_parameters(config, pooler=pooler_of(spec))


def _projection_parameters(spec: TrialSpec, transfer: KnowledgeTransfer | None) -> int:
    if transfer is None or not transfer.projection:
        return 0
    assert spec.teacher is not None
    return (spec.encoder.hidden_size + 1) * spec.teacher.encoder.hidden_size


def _transfer_of(spec: TrialSpec, planned: PlannedStage) -> KnowledgeTransfer | None:
    """The knowledge transfer that a stage is, if it is one."""
    if planned.kind in ("transfer", "auxiliary"):
        return spec.recipe.knowledge_transfer
    distillation = spec.recipe.fine_tuning.distillation
    return distillation.intermediate if planned.kind == "intermediate" and distillation is not None else None


def _task_heads(spec: TrialSpec, planned: PlannedStage) -> int:
    pooler = spec.recipe.pooler
    return sum(task_head_parameters(spec.encoder, task, pooler=pooler) for task in planned.tasks)


def _network_parameters(spec: TrialSpec, planned: PlannedStage) -> int:
    projection = _projection_parameters(spec, _transfer_of(spec, planned))
    if not planned.tasks:
        return _pretrained_parameters(spec) + projection
    return cost(spec.encoder).parameters + _task_heads(spec, planned) + projection


def _trained(spec: TrialSpec, planned: PlannedStage) -> tuple[_Trained, Optimizer]:
    """What a stage's optimizer has, and the optimizer."""
    recipe, transfer = spec.recipe, _transfer_of(spec, planned)
    if transfer is not None and planned.kind != "auxiliary":
        return _taught(spec, transfer), transfer.optimizer
    optimizer = recipe.fine_tuning.optimizer if planned.tasks else recipe.pre_training.optimizer
    every = _network_parameters(spec, planned)
    projection = _projection_parameters(spec, transfer)
    largest = every - projection
    if optimizer.layer_decay != 1.0:  # a group for every block
        parts = _parts(spec.encoder)
        largest = max(parts.embedding, parts.block, every - projection - cost(spec.encoder).parameters)
    return _Trained(every, every, max(largest, projection)), optimizer


class _Parts(NamedTuple):
    embedding: int
    block: int


def _parts(config: EncoderConfig) -> _Parts:
    embedding = embedding_part(config, 1).parameters
    return _Parts(embedding, (cost(config).parameters - embedding) // config.num_layers)


def _taught(spec: TrialSpec, transfer: KnowledgeTransfer) -> _Trained:
    """Blocks, each a group of its own; embeddings unless they were copied; the projection."""
    parts, projection = _parts(spec.encoder), _projection_parameters(spec, transfer)
    embedding = parts.embedding if transfer.copied == "nothing" else 0
    every = spec.encoder.num_layers * parts.block + embedding + projection
    at_once = parts.block + embedding + projection if transfer.freeze == "hard" else every
    return _Trained(every, at_once, max(parts.block, embedding, projection))


def _answering(spec: TrialSpec, planned: PlannedStage) -> int:
    """Parameters of the teachers that a stage asks."""
    if not planned.tasks:
        return _teacher_parameters(spec) if any(one.answers for one in passes_of(spec, planned)) else 0
    if spec.recipe.fine_tuning.distillation is None:
        return 0
    return sum(teacher_task_parameters(spec, task) for task in planned.tasks)


def _waiting(spec: TrialSpec, planned: PlannedStage) -> int:
    """Parameters of the networks that the training holds and the stage leaves alone."""
    teacher = _teacher_parameters(spec)
    if not planned.tasks:
        return 0 if _answering(spec, planned) else teacher
    config, pooler = spec.encoder, spec.recipe.pooler
    each = cost(config).parameters
    others = finished_tasks(spec, planned)
    finished = sum(each + task_head_parameters(config, task, pooler=pooler) for task in others)
    # A multi-task student has one encoder; every task's network was made with its own.
    return _pretrained_parameters(spec) + teacher + finished + (len(planned.tasks) - 1) * each


def finished_tasks(spec: TrialSpec, planned: PlannedStage) -> list[TaskSpec]:
    """The tasks whose networks were trained before a stage and are none of its own."""
    stages = planned_stages(spec)
    before = [task for stage in stages[: stages.index(planned)] for task in stage.tasks if task not in planned.tasks]
    return list(dict.fromkeys(before))


def bilstm_memory(
    spec: TrialSpec, planned: PlannedStage, parameters: int, kept: int, micro_batch: int, activation_bytes: int
) -> Memory:
    """What a BiLSTM's fine-tuning on a task holds; its optimizer steps without copies unless it is LAMB.

    Args:
        parameters: of the task's network.
        kept: numbers that one sequence keeps for the backward pass.
    """
    assert isinstance(spec.student, BiLSTMConfig)
    recipe = spec.recipe.fine_tuning
    asked = recipe.distillation is not None
    return Memory(
        weights=NUMBER_BYTES * parameters,
        gradients=NUMBER_BYTES * parameters,
        moments=2 * NUMBER_BYTES * parameters,
        teacher_weights=NUMBER_BYTES * teacher_task_parameters(spec, planned.tasks[0]) if asked else 0,
        activations=min(planned.batch_size, micro_batch) * kept * activation_bytes,
        waiting=NUMBER_BYTES * parameters * len(finished_tasks(spec, planned)),
        stepping=LAMB_COPIES * NUMBER_BYTES * parameters if recipe.optimizer.kind == "lamb" else 0,
    )
