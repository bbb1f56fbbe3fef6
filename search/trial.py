"""One thing to train and measure, as a value, and what differs between two of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.short_html import short_table, told_fields
from model_zoo.student import Student
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher
from search.matching import check_matching
from search.recipe import Recipe
from search.values import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """A student, how and on what it is trained, and from whom.

    A student is an encoder, or a BiLSTM, which is trained on tasks alone.

    A teacher is a TrialSpec without a teacher, or a GivenTeacher, which was trained elsewhere.

    The seed makes initialisation, data order, masking and dropout, each from a stream of its own; trials of one seed
    see the same batches (a block), and their teacher was trained with that seed.
    """

    student: Student
    recipe: Recipe
    data: DataSpec
    seed: int
    teacher: "TrialSpec | GivenTeacher | None" = None
    ensemble: "tuple[TrialSpec, ...]" = ()
    """Further teachers: tasks are then distilled from the mean of all teachers' probabilities."""

    @property
    def teachers(self) -> "tuple[TrialSpec | GivenTeacher, ...]":
        """All of them, the teacher first."""
        return () if self.teacher is None else (self.teacher, *self.ensemble)

    @property
    def encoder(self) -> EncoderConfig:
        """The student as an encoder, for what only encoders have. Raises ValueError for another student."""
        if isinstance(self.student, EncoderConfig):
            return self.student
        raise ValueError("this is for encoders, got a trial whose student is a BiLSTM; name a trial with an encoder")

    def _repr_html_(self) -> str:
        """In a notebook: student and recipe where they are away from their defaults, tasks, seed, teacher."""
        rows = [*told_fields(self.student, "student."), *told_fields(self.recipe, "recipe.")]
        rows.append(("tasks", ", ".join(task.name for task in self.data.tasks)))
        rows += [("seed", str(self.seed)), ("teachers", ", ".join(map(fingerprint, self.teachers)) or "none")]
        return short_table(f"TrialSpec {fingerprint(self)}", rows)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if self.student.vocab_size != self.data.vocab_size:
            raise ValueError(
                f"the student's vocab_size must be that of the data, got {self.student.vocab_size} and "
                f"{self.data.vocab_size}; use dataclasses.replace on one of them"
            )
        if isinstance(self.student, BiLSTMConfig):
            _check_bilstm(self, self.student)
        else:
            _check_encoder(self, self.student)
        _check_teacher(self)
        if self.ensemble:
            _check_ensemble(self)


def teachers_of(specs: Iterable[TrialSpec]) -> list[TrialSpec]:
    """The distinct teachers of some trials that have to be trained."""
    teachers = [teacher for spec in specs for teacher in spec.teachers if isinstance(teacher, TrialSpec)]
    return list({fingerprint(teacher): teacher for teacher in teachers}.values())


def given_teachers_of(specs: Iterable[TrialSpec]) -> list[GivenTeacher]:
    """The distinct teachers of some trials that were trained elsewhere."""
    teachers = [spec.teacher for spec in specs if isinstance(spec.teacher, GivenTeacher)]
    return list({fingerprint(teacher): teacher for teacher in teachers}.values())


def planned_updates(spec: TrialSpec) -> int:
    """Optimizer steps of a whole training, fine-tuning included, its teacher's not: the unit of progress."""
    return spec.recipe.student_updates + len(spec.data.tasks) * spec.recipe.fine_tuning.updates_per_task


def _check_encoder(spec: TrialSpec, encoder: EncoderConfig) -> None:
    if encoder.max_positions < spec.data.length:
        raise ValueError(
            f"max_positions must be at least the sequence length of the data, got {encoder.max_positions} "
            f"and {spec.data.length}"
        )
    if spec.recipe.student_updates < 1:
        raise ValueError(
            f"a recipe needs an update before fine-tuning, got {spec.recipe.student_updates}; only a BiLSTM has none"
        )


def _check_bilstm(spec: TrialSpec, bilstm: BiLSTMConfig) -> None:
    """It has word vectors and an LSTM of each task's own: nothing that is shared, pre-trained or made of blocks."""
    recipe, tuning = spec.recipe, spec.recipe.fine_tuning
    distillation = tuning.distillation
    refused = {
        "knowledge transfer, which compares blocks": recipe.knowledge_transfer is not None,
        "pre-training, whose heads read an encoder": recipe.pre_training.steps > 0,
        "multi_task, which shares an encoder": tuning.multi_task,
        "copied_blocks": bool(recipe.copied_blocks),
        "a pooler": recipe.pooler,
        "a layer_decay, which counts blocks": tuning.optimizer.layer_decay != 1.0,
        "patient states of blocks": distillation is not None and distillation.patient is not None,
        "an intermediate stage of blocks": distillation is not None and distillation.intermediate is not None,
    }
    for what, is_there in refused.items():
        if is_there:
            raise ValueError(f"a BiLSTM is fine-tuned on tasks alone, got a recipe with {what}; take it out")
    if not spec.data.tasks:
        raise ValueError("a BiLSTM is fine-tuned on tasks alone, got data without a task; name one")
    own = BiLSTMConfig()
    if (bilstm.form, bilstm.num_outputs) != (own.form, own.num_outputs):
        raise ValueError(
            f"form and num_outputs of a BiLSTM are each task's: leave {own.form!r} and {own.num_outputs}, got "
            f"{bilstm.form!r} and {bilstm.num_outputs}"
        )
    if bilstm.num_channels != 1:
        raise ValueError(
            f"num_channels must be 1, got {bilstm.num_channels}: no word vectors are loaded into a trial, and a fixed "
            "copy of random ones teaches nothing"
        )


def _check_teacher(spec: TrialSpec) -> None:
    teacher = spec.teacher
    if teacher is None:
        if spec.recipe.needs_teacher:
            raise ValueError(
                f"a recipe with {' and '.join(_taught_parts(spec.recipe))} needs a teacher, got none; name one or take "
                "them out"
            )
        return
    if isinstance(teacher.student, BiLSTMConfig):
        raise ValueError("a teacher must be an encoder, got a BiLSTM; name a trial with an encoder")
    if isinstance(teacher, GivenTeacher):
        _check_given(spec, teacher)
    elif teacher.teacher is not None:
        raise ValueError("a teacher is trained without a teacher of its own, got one that has one")
    elif teacher.seed != spec.seed or teacher.data != spec.data:
        raise ValueError(f"teacher and student must share seed and data, got seeds {teacher.seed} and {spec.seed}")
    if isinstance(spec.student, EncoderConfig):
        check_matching(spec.student, teacher.encoder, spec.recipe)


def _check_ensemble(spec: TrialSpec) -> None:
    """One probability per class can be averaged; maps and states cannot, so nothing else may listen to a teacher."""
    distillation = spec.recipe.fine_tuning.distillation
    if isinstance(spec.teacher, GivenTeacher) or spec.teacher is None:
        got = "none" if spec.teacher is None else "a given one"
        raise ValueError(f"an ensemble joins a teacher that is trained here, got {got}; leave ensemble empty")
    others = [part for part in _taught_parts(spec.recipe) if part != "task distillation"]
    if distillation is None or others:
        got = " and ".join(others) or "no task distillation"
        raise ValueError(
            f"an ensemble teaches by task distillation alone, got {got}; use a recipe with fine_tuning.distillation "
            "that hears its teacher nowhere else"
        )
    if distillation.patient or distillation.intermediate or distillation.logits == "squared_error":
        raise ValueError(
            "an ensemble has mean probabilities, neither states nor logits: it needs logits='soft' or 'prediction' "
            f"without patient states and intermediate stage, got {distillation}"
        )
    for teacher in spec.ensemble:
        if teacher.data != spec.data:
            raise ValueError(
                "teachers of an ensemble must share the student's data (its word pieces and labels), got "
                f"{', '.join(change.field for change in changes(spec.data, teacher.data))} different; train them on it"
            )
        if teacher.teacher is not None:
            raise ValueError("a teacher is trained without a teacher of its own, got one that has one")
        if isinstance(teacher.student, BiLSTMConfig):
            raise ValueError("a teacher must be an encoder, got a BiLSTM; name a trial with an encoder")
    marks = [fingerprint(teacher) for teacher in spec.teachers]
    if len(set(marks)) < len(marks):
        raise ValueError(f"teachers of an ensemble must differ, got {marks}; give each a seed of its own")


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
    reads_words = spec.recipe.pre_training.teacher_share > 0 or spec.recipe.pre_training.triple is not None
    if reads_words and "masked_language" not in teacher.heads:
        raise ValueError(
            "pre-training distillation needs the teacher's masked-language head, got a teacher with "
            f"{' and '.join(teacher.heads) or 'no pre-training head'}; bring one saved with its pre-training heads, or "
            "set teacher_share=0"
        )
    untaught = [task.name for task in spec.data.tasks if task.name != teacher.task]
    if spec.recipe.fine_tuning.distillation is not None and untaught:
        raise ValueError(
            f"task distillation needs the teacher's network of the task {untaught[0]!r}, got a given teacher that was "
            f"fine-tuned on {teacher.task or 'none'}; run on that task alone, or without task distillation"
        )


def _taught_parts(recipe: Recipe) -> list[str]:
    parts = {
        "knowledge transfer": recipe.knowledge_transfer is not None,
        "a teacher's share": recipe.pre_training.teacher_share > 0,
        "a triple loss": recipe.pre_training.triple is not None,
        "copied blocks": bool(recipe.copied_blocks),
        "task distillation": recipe.fine_tuning.distillation is not None,
    }
    return [name for name, is_there in parts.items() if is_there]


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
    return json_changes(to_json(before), to_json(after))


def json_changes(before: Any, after: Any) -> tuple[Change, ...]:
    """`changes` of what is JSON already."""
    return tuple(_changes("", before, after))


def _changes(prefix: str, before: Any, after: Any) -> list[Change]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        names = list(dict.fromkeys([*before, *after]))
        found: list[Change] = []
        for name in names:
            found += _changes(f"{prefix}.{name}" if prefix else name, before.get(name), after.get(name))
        return found
    return [Change(prefix, before, after)]
