"""One thing to train and measure, as a value, and what differs between two of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from model_zoo.config import EncoderConfig
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher
from search.recipe import Recipe
from search.values import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """An encoder, how and on what it is trained, and from whom.

    A teacher is a TrialSpec without a teacher, or a GivenTeacher, which was trained elsewhere.

    The seed makes initialisation, data order, masking and dropout, each from a stream of its own; trials of one seed
    see the same batches (a block), and their teacher was trained with that seed.
    """

    student: EncoderConfig
    recipe: Recipe
    data: DataSpec
    seed: int
    teacher: "TrialSpec | GivenTeacher | None" = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if self.student.vocab_size != self.data.vocab_size:
            raise ValueError(
                f"the encoder's vocab_size must be that of the data, got {self.student.vocab_size} and "
                f"{self.data.vocab_size}; use dataclasses.replace on one of them"
            )
        if self.student.max_positions < self.data.length:
            raise ValueError(
                f"max_positions must be at least the sequence length of the data, got {self.student.max_positions} "
                f"and {self.data.length}"
            )
        _check_teacher(self)
        transfer = self.recipe.knowledge_transfer
        if transfer is not None and transfer.steps % self.student.num_layers:
            raise ValueError(
                f"knowledge-transfer steps must be a multiple of the number of blocks, got {transfer.steps} steps for "
                f"{self.student.num_layers} blocks"
            )


def teachers_of(specs: Iterable[TrialSpec]) -> list[TrialSpec]:
    """The distinct teachers of some trials that have to be trained."""
    teachers = [spec.teacher for spec in specs if isinstance(spec.teacher, TrialSpec)]
    return list({fingerprint(teacher): teacher for teacher in teachers}.values())


def given_teachers_of(specs: Iterable[TrialSpec]) -> list[GivenTeacher]:
    """The distinct teachers of some trials that were trained elsewhere."""
    teachers = [spec.teacher for spec in specs if isinstance(spec.teacher, GivenTeacher)]
    return list({fingerprint(teacher): teacher for teacher in teachers}.values())


def planned_updates(spec: TrialSpec) -> int:
    """Optimizer steps of a whole training, fine-tuning included, its teacher's not: the unit of progress."""
    return spec.recipe.student_updates + len(spec.data.tasks) * spec.recipe.fine_tuning.steps


def _check_teacher(spec: TrialSpec) -> None:
    transfer, teacher = spec.recipe.knowledge_transfer, spec.teacher
    if teacher is None:
        if transfer is not None or spec.recipe.pre_training.teacher_share > 0:
            raise ValueError("a recipe with knowledge transfer or a teacher's share needs a teacher, got none")
        return
    if isinstance(teacher, GivenTeacher):
        _check_given(spec, teacher)
    elif teacher.teacher is not None:
        raise ValueError("a teacher is trained without a teacher of its own, got one that has one")
    elif teacher.seed != spec.seed or teacher.data != spec.data:
        raise ValueError(f"teacher and student must share seed and data, got seeds {teacher.seed} and {spec.seed}")
    if transfer is not None:
        _check_matching(spec.student, teacher.student, transfer.average_heads)


def _check_given(spec: TrialSpec, teacher: GivenTeacher) -> None:
    if teacher.vocabulary != spec.data.vocabulary or teacher.student.vocab_size != spec.data.vocab_size:
        raise ValueError(
            f"a given teacher must have the word pieces of the data, got {teacher.student.vocab_size} and "
            f"{spec.data.vocab_size} other ones; prepare the data with the teacher's tokenizer"
        )
    if teacher.student.max_positions < spec.data.length:
        raise ValueError(
            f"a given teacher must have as many positions as the data have tokens per sequence, got "
            f"{teacher.student.max_positions} and {spec.data.length}; choose a smaller scale or a longer teacher"
        )
    if spec.recipe.pre_training.teacher_share > 0 and "masked_language" not in teacher.heads:
        raise ValueError(
            "pre-training distillation needs the teacher's masked-language head, got a teacher with "
            f"{' and '.join(teacher.heads) or 'no pre-training head'}; bring one saved with its pre-training heads, or "
            "set teacher_share=0"
        )


def _check_matching(student: EncoderConfig, teacher: EncoderConfig, average_heads: bool) -> None:
    for name in ("hidden_size", "num_layers", "embedding_size", "trigram", "max_positions"):
        if getattr(student, name) != getattr(teacher, name):
            raise ValueError(
                f"knowledge transfer compares block with block and copies the embeddings: {name} must be equal, got "
                f"{getattr(student, name)} (student) and {getattr(teacher, name)} (teacher); a teacher of {name} "
                f"{getattr(student, name)} would do, or a recipe without knowledge transfer"
            )
    if not average_heads and student.num_heads != teacher.num_heads:
        raise ValueError(
            f"attention transfer per head needs equal head counts, got {student.num_heads} (student) and "
            f"{teacher.num_heads} (teacher); set average_heads=True in every arm"
        )


class Change(NamedTuple):
    """One field that differs, its dotted name, and both values."""

    field: str
    before: Any
    after: Any


def changes(before: Any, after: Any) -> tuple[Change, ...]:
    """Fields in which two values (or their JSON forms) differ, in the order of declaration.

    >>> changes({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
    (Change(field='b.c', before=2, after=3),)
    """
    return tuple(_changes("", to_json(before), to_json(after)))


def _changes(prefix: str, before: Any, after: Any) -> list[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        names = list(dict.fromkeys([*before, *after]))
        found: list[Change] = []
        for name in names:
            found += _changes(f"{prefix}.{name}" if prefix else name, before.get(name), after.get(name))
        return found
    return [] if before == after else [Change(prefix, before, after)]
