"""What the updates of a stage run, as values, and their FLOPs: how many blocks of which network, with gradients or
without, and which heads. What they hold is in `search/held.py`. Knows nothing of torch.

Counted as in `model_zoo.cost`: 2 x multiply-adds of dense layers and attention products, sequences at full length. A
backward pass costs two forward ones of what has gradients, as if every layer handed one down to its input.
"""

import functools
from dataclasses import dataclass

from model_zoo.config import EncoderConfig
from model_zoo.cost import ComponentCost, cost
from search.data.spec import TaskSpec
from search.matching import resolved_map
from search.recipe import KnowledgeTransfer
from search.training.planned import PlannedStage
from search.trial import TrialSpec

BACKWARD_PASSES = 2
"""Of what has gradients, in forward passes."""
MASKED_SHARE = 0.15
SPECIAL_TOKENS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a teacher runs in an update; it never has gradients."""

    config: EncoderConfig
    blocks: int
    """The lowest ones."""
    positions: int = 0
    """Of a sequence, where it makes logits over the vocabulary."""
    head_flops: int = 0
    """Of a task's head, one sequence."""
    maps: int = 0
    """Feature maps (embeddings among them) that the loss holds."""
    scores: int = 0
    """Blocks whose attention scores it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What each of some updates runs."""

    updates: int
    blocks: int
    """Of the student, the lowest ones."""
    trained_blocks: int
    """Of these, the upper ones: those with gradients."""
    trains_embedding: bool
    positions: int = 0
    """Of a sequence: where the student makes logits over the vocabulary."""
    vocabulary_copies: int = 0
    """Tensors as large as these logits that are held at once."""
    head_flops: int = 0
    """Of the student's dense heads, one sequence."""
    idle_flops: int = 0
    """Of heads that run and that no loss reads."""
    compared_maps: int = 0
    """Maps (embeddings among them) that the loss compares."""
    compared_scores: int = 0
    """Blocks whose attention the loss compares."""
    transfer: KnowledgeTransfer | None = None
    """Says how they are compared."""
    answers: tuple[Answer, ...] = ()

    @property
    def scores(self) -> bool:
        """Whether the student's attention gives its scores, which no fused kernel does."""
        return self.transfer is not None and self.transfer.compares_attention


def passes_of(spec: TrialSpec, planned: PlannedStage) -> tuple[Pass, ...]:
    """What a stage of an encoder runs: one pass, or one per phase or task."""
    transfer = spec.recipe.knowledge_transfer
    if planned.kind in ("fine-tuning", "multi-task"):
        updates = planned.updates // len(planned.tasks)
        return tuple(_task_pass(spec, task, updates) for task in planned.tasks)
    if planned.kind == "intermediate":
        distillation = spec.recipe.fine_tuning.distillation
        assert distillation is not None and distillation.intermediate is not None
        return (_joint_pass(spec, distillation.intermediate, planned.updates, holds_all=True),)
    if planned.kind == "pre-training":
        return (_pre_training_pass(spec, planned.updates),)
    assert transfer is not None
    if planned.kind == "auxiliary":
        return (_auxiliary_pass(spec, transfer, planned.updates),)
    if transfer.strategy == "joint":
        return (_joint_pass(spec, transfer, planned.updates),)
    return tuple(_phase(spec, transfer, phase) for phase in range(spec.encoder.num_layers))


def student_flops(spec: TrialSpec, one: Pass) -> int:
    """Of one sequence, forward and backward."""
    config, length = spec.encoder, spec.data.length
    embedding, block = embedding_flops(config, length), block_flops(config, length)
    projected = 0
    if one.transfer is not None and one.transfer.projection:
        projected = one.compared_maps * 2 * length * config.hidden_size * _teacher_width(spec)
    heads = vocabulary_flops(config, one.positions) + one.head_flops + projected
    trained = (embedding if one.trains_embedding else 0) + one.trained_blocks * block + heads
    return embedding + one.blocks * block + heads + one.idle_flops + BACKWARD_PASSES * trained


def teacher_flops(spec: TrialSpec, one: Pass) -> int:
    """Of one sequence, all teachers."""
    length = spec.data.length
    return sum(
        embedding_flops(answer.config, length)
        + answer.blocks * block_flops(answer.config, length)
        + vocabulary_flops(answer.config, answer.positions)
        + answer.head_flops
        for answer in one.answers
    )


def embedding_part(config: EncoderConfig, length: int) -> ComponentCost:
    """Cost of the embedding alone."""
    return next(part for part in cost(config, length).components if part.name == "embedding")


@functools.lru_cache(maxsize=4096)  # of the same few configs at every phase of every trial
def embedding_flops(config: EncoderConfig, length: int) -> int:
    """Forward FLOPs of the embedding of one sequence."""
    return embedding_part(config, length).flops


@functools.lru_cache(maxsize=4096)
def block_flops(config: EncoderConfig, length: int) -> int:
    """Forward FLOPs of one block on one sequence."""
    total = cost(config, length)
    return (total.flops - embedding_flops(config, length)) // config.num_layers


def vocabulary_flops(config: EncoderConfig, positions: int) -> int:
    """Forward FLOPs of the masked-language head at some positions."""
    return positions * 2 * (config.hidden_size * config.hidden_size + config.hidden_size * config.vocab_size)


def num_masked(length: int) -> int:
    """Tokens to be guessed in a full sequence."""
    return max(1, round(MASKED_SHARE * (length - SPECIAL_TOKENS)))


def num_outputs(task: TaskSpec) -> int:
    """Outputs of a task's dense layer; a span has two at every token."""
    return {"classification": task.num_labels, "regression": 1, "span": 2}[task.kind]


def task_head_flops(config: EncoderConfig, task: TaskSpec, length: int, *, pooler: bool) -> int:
    """Forward FLOPs of a task's head on one sequence."""
    wide, is_span = config.hidden_size, task.kind == "span"
    dense = 2 * wide * wide if pooler and not is_span else 0
    return dense + 2 * wide * num_outputs(task) * (length if is_span else 1)


def pooler_of(spec: TrialSpec) -> bool:
    """Whether a trial's teacher has a pooler."""
    teacher = spec.teacher
    assert teacher is not None
    return teacher.recipe.pooler if isinstance(teacher, TrialSpec) else teacher.pooler


def _teacher_width(spec: TrialSpec) -> int:
    assert spec.teacher is not None
    return spec.teacher.encoder.hidden_size


def _phase(spec: TrialSpec, transfer: KnowledgeTransfer, phase: int) -> Pass:
    """Phase l of progressive transfer runs blocks as far as l in the student, as far as its match in the teacher."""
    hard, first = transfer.freeze == "hard", phase == 0 and transfer.embedding_factor > 0
    matched = resolved_map(transfer, spec.encoder.num_layers)[phase]
    assert spec.teacher is not None
    maps, scores = int(transfer.compares_maps) + int(first), int(transfer.compares_attention)
    return Pass(
        updates=transfer.steps // spec.encoder.num_layers,
        blocks=phase + 1,
        trained_blocks=1 if hard else phase + 1,
        trains_embedding=transfer.copied == "nothing" and (phase == 0 or not hard),
        compared_maps=maps,
        compared_scores=scores,
        transfer=transfer,
        answers=(Answer(config=spec.teacher.encoder, blocks=matched + 1, maps=maps, scores=scores),),
    )


def _joint_pass(spec: TrialSpec, transfer: KnowledgeTransfer, updates: int, *, holds_all: bool = False) -> Pass:
    """All blocks at once.

    Args:
        holds_all: the loss holds every map of the teacher, as a task's intermediate stage does, not the compared ones
            alone.
    """
    layers = spec.encoder.num_layers
    matched = set(resolved_map(transfer, layers))
    assert spec.teacher is not None
    embedding = int(transfer.embedding_factor > 0)
    maps = layers * transfer.compares_maps + embedding
    scores = layers * transfer.compares_attention
    reaches = max(matched) + 1 if transfer.compares_maps or transfer.compares_attention or holds_all else 0
    held = (reaches + 1, reaches * transfer.compares_attention)
    compared = (len(matched) * transfer.compares_maps + embedding, len(matched) * transfer.compares_attention)
    of_teacher = held if holds_all else compared
    return Pass(
        updates=updates,
        blocks=layers,
        trained_blocks=layers,
        trains_embedding=transfer.copied == "nothing",
        compared_maps=maps,
        compared_scores=scores,
        transfer=transfer,
        answers=(Answer(config=spec.teacher.encoder, blocks=reaches, maps=of_teacher[0], scores=of_teacher[1]),),
    )


def _auxiliary_pass(spec: TrialSpec, transfer: KnowledgeTransfer, updates: int) -> Pass:
    """Distillation with all blocks' losses: everything of both networks runs, everything of the student learns."""
    joint, distilled = _joint_pass(spec, transfer, updates), _pre_training_pass(spec, updates)
    (compared,) = joint.answers
    assert spec.teacher is not None
    teacher = spec.teacher.encoder
    return Pass(
        updates=updates,
        blocks=joint.blocks,
        trained_blocks=joint.blocks,
        trains_embedding=True,
        positions=distilled.positions,
        vocabulary_copies=_DISTILLED_COPIES,
        head_flops=distilled.head_flops,
        compared_maps=joint.compared_maps,
        compared_scores=joint.compared_scores,
        transfer=transfer,
        answers=(
            Answer(
                config=teacher,
                blocks=teacher.num_layers,
                positions=num_masked(spec.data.length),
                maps=compared.maps,
                scores=compared.scores,
            ),
        ),
    )


_LABEL_COPIES = 3
"""Log-probabilities, their gradient and that of the logits."""
_DISTILLED_COPIES = 4
"""And the teacher's probabilities."""
_TRIPLE_COPIES = 7
"""Logits and log-probabilities of both, the teacher's probabilities, the difference and its product with them."""


def _pre_training_pass(spec: TrialSpec, updates: int) -> Pass:
    """On labels, by distillation, or with the triple loss, which reads every token and no next sentence."""
    recipe, config, length = spec.recipe.pre_training, spec.encoder, spec.data.length
    triple = recipe.triple is not None
    positions = length if triple else num_masked(length)
    sentence = 2 * 2 * config.hidden_size + (2 * config.hidden_size**2 if spec.recipe.pooler else 0)
    answers: tuple[Answer, ...] = ()
    if recipe.distils:
        assert spec.teacher is not None
        teacher = spec.teacher.encoder
        answers = (Answer(config=teacher, blocks=teacher.num_layers, positions=positions, maps=int(triple)),)
    copies = _TRIPLE_COPIES if triple else _DISTILLED_COPIES if recipe.distils else _LABEL_COPIES
    return Pass(
        updates=updates,
        blocks=config.num_layers,
        trained_blocks=config.num_layers,
        trains_embedding=True,
        positions=positions,
        vocabulary_copies=copies,
        head_flops=0 if triple else sentence,
        idle_flops=sentence if triple else 0,
        compared_maps=int(triple),
        answers=answers,
    )


def _task_pass(spec: TrialSpec, task: TaskSpec, updates: int) -> Pass:
    """One task, on labels or on the logits of every teacher's own network of it."""
    recipe, length, config = spec.recipe.fine_tuning, spec.data.length, spec.encoder
    return Pass(
        updates=updates,
        blocks=config.num_layers,
        trained_blocks=config.num_layers,
        trains_embedding=True,
        head_flops=task_head_flops(config, task, length, pooler=spec.recipe.pooler),
        answers=task_answers(spec, task) if recipe.distillation is not None else (),
    )


def task_answers(spec: TrialSpec, task: TaskSpec) -> tuple[Answer, ...]:
    """What the teachers of a trial run on a task's batch; patient states come from maps of all blocks."""
    distillation, length = spec.recipe.fine_tuning.distillation, spec.data.length
    patient = distillation is not None and distillation.patient is not None
    found = []
    for teacher in spec.teachers:
        pooler = teacher.recipe.pooler if isinstance(teacher, TrialSpec) else teacher.pooler
        layers = teacher.encoder.num_layers
        head = task_head_flops(teacher.encoder, task, length, pooler=pooler)
        maps = layers if patient else 0
        found.append(Answer(config=teacher.encoder, blocks=layers, head_flops=head, maps=maps))
    return tuple(found)
