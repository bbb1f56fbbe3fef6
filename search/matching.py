"""Whether a student can copy what a recipe asks it to copy from its teacher; knows nothing of data, seeds and torch.

Everything that cannot be matched is an error when a trial is declared, with the way out.
"""

from model_zoo.config import EncoderConfig
from search.recipe import KnowledgeTransfer, PatientStates, Recipe


def check_matching(student: EncoderConfig, teacher: EncoderConfig, recipe: Recipe) -> None:
    """Raises ValueError for the first thing that cannot be matched."""
    transfer = recipe.knowledge_transfer
    if transfer is not None:
        _check_transfer(student, teacher, transfer)
        _check_copied(student, teacher, transfer.copied)
        if transfer.strategy == "progressive" and transfer.steps % student.num_layers:
            raise ValueError(
                f"knowledge-transfer steps must be a multiple of the number of blocks, got {transfer.steps} steps for "
                f"{student.num_layers} blocks"
            )
    if recipe.copied_blocks:
        _check_copied_blocks(student, teacher, recipe)
    if recipe.pre_training.triple is not None and student.hidden_size != teacher.hidden_size:
        raise ValueError(
            "the triple loss compares directions of hidden states: hidden_size must be equal, got "
            f"{student.hidden_size} (student) and {teacher.hidden_size} (teacher); use teacher_share instead"
        )
    distillation = recipe.fine_tuning.distillation
    if distillation is not None and distillation.patient is not None:
        _check_patient(student, teacher, distillation.patient)
    if distillation is not None and distillation.intermediate is not None:
        _check_transfer(student, teacher, distillation.intermediate)


def resolved_map(transfer: KnowledgeTransfer, num_layers: int) -> tuple[int, ...]:
    """The teacher's block for each of the student's `num_layers`.

    >>> from search.recipe import Optimizer
    >>> resolved_map(KnowledgeTransfer(steps=3, batch_size=1, optimizer=Optimizer(learning_rate=1.0)), 3)
    (0, 1, 2)
    """
    return transfer.layer_map or tuple(range(num_layers))


def uniform_map(num_student: int, num_teacher: int) -> tuple[int, ...]:
    """The teacher's block for each of the student's, evenly spaced, the last with the last (TinyBERT's).

    >>> uniform_map(4, 12)
    (2, 5, 8, 11)
    """
    _check_depths(num_student, num_teacher)
    return tuple((block + 1) * num_teacher // num_student - 1 for block in range(num_student))


def skip_map(num_student: int, num_teacher: int) -> tuple[int, ...]:
    """PKD's skip: evenly spaced teacher blocks for the student's blocks but the last.

    >>> skip_map(6, 12)
    (1, 3, 5, 7, 9)
    """
    return uniform_map(num_student, num_teacher)[:-1]


def last_map(num_student: int, num_teacher: int) -> tuple[int, ...]:
    """PKD's last: the teacher's upper blocks, its very last left out, for the student's blocks but the last.

    >>> last_map(6, 12)
    (6, 7, 8, 9, 10)
    """
    _check_depths(num_student, num_teacher)
    return tuple(range(num_teacher - num_student, num_teacher - 1))


def _check_depths(num_student: int, num_teacher: int) -> None:
    if not 1 <= num_student <= num_teacher:
        raise ValueError(f"a student's depth must be from 1 to its teacher's {num_teacher}, got {num_student}")


def _check_transfer(student: EncoderConfig, teacher: EncoderConfig, transfer: KnowledgeTransfer) -> None:
    if not transfer.layer_map and student.num_layers != teacher.num_layers:
        raise ValueError(
            f"knowledge transfer compares block l with block l: num_layers must be equal, got {student.num_layers} "
            f"(student) and {teacher.num_layers} (teacher); set layer_map, such as uniform_map gives"
        )
    if transfer.layer_map:
        _check_map("layer_map of the knowledge transfer", transfer.layer_map, student.num_layers, teacher)
    maps = transfer.compares_maps or transfer.embedding_factor > 0
    if maps and not transfer.projection and student.hidden_size != teacher.hidden_size:
        raise ValueError(
            f"feature maps are compared channel by channel: hidden_size must be equal, got {student.hidden_size} "
            f"(student) and {teacher.hidden_size} (teacher); set projection=True and copied='nothing'"
        )
    if not maps and transfer.projection:
        raise ValueError("a projection is for feature maps or embeddings, got it with none; set projection=False")
    if transfer.compares_attention and not transfer.average_heads and student.num_heads != teacher.num_heads:
        raise ValueError(
            f"attention transfer per head needs equal head counts, got {student.num_heads} (student) and "
            f"{teacher.num_heads} (teacher); set average_heads=True in every arm"
        )
    if transfer.compares_attention and transfer.attention_form == "scores" and transfer.average_heads:
        raise ValueError(
            "attention scores are compared head by head, got average_heads=True; set attention_form='divergence'"
        )


def _check_copied(student: EncoderConfig, teacher: EncoderConfig, copied: str) -> None:
    if copied == "nothing":
        return
    for name in ("hidden_size", "embedding_size", "trigram", "max_positions", "num_token_types"):
        if getattr(student, name) != getattr(teacher, name):
            raise ValueError(
                f"embeddings are copied from the teacher: {name} must be equal, got {getattr(student, name)} (student) "
                f"and {getattr(teacher, name)} (teacher); set copied='nothing'"
            )


def _check_copied_blocks(student: EncoderConfig, teacher: EncoderConfig, recipe: Recipe) -> None:
    _check_map("copied_blocks", recipe.copied_blocks, student.num_layers, teacher)
    fields = set(student.__slots__) - {"num_layers", "hidden_dropout", "attention_dropout", "initializer_range"}
    for name in sorted(fields):
        if getattr(student, name) != getattr(teacher, name):
            raise ValueError(
                f"copied_blocks start blocks from blocks of the same shape: {name} must be equal, got "
                f"{getattr(student, name)} (student) and {getattr(teacher, name)} (teacher); set copied_blocks=()"
            )


def _check_patient(student: EncoderConfig, teacher: EncoderConfig, patient: PatientStates) -> None:
    if student.hidden_size != teacher.hidden_size:
        raise ValueError(
            f"patient states are compared channel by channel: hidden_size must be equal, got {student.hidden_size} "
            f"(student) and {teacher.hidden_size} (teacher); use an intermediate stage with projection=True"
        )
    _check_map("layer_map of the patient states", patient.layer_map, student.num_layers - 1, teacher)


def _check_map(what: str, layer_map: tuple[int, ...], wanted: int, teacher: EncoderConfig) -> None:
    if len(layer_map) != wanted:
        raise ValueError(f"{what} must name one teacher block for each of {wanted} student blocks, got {layer_map}")
    if max(layer_map) >= teacher.num_layers:
        raise ValueError(f"{what} must name blocks from 0 to {teacher.num_layers - 1} of the teacher, got {layer_map}")
