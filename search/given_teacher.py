"""A teacher of the user's own, as a value: what it is by content, and which objectives it can teach.

Knows no path and no torch.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from model_zoo.config import EncoderConfig
from search.data.spec import DataSpec

Head = Literal["masked_language", "next_sentence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTeacher:
    """A teacher that was trained elsewhere: it has no recipe, no data and no seed, and teaches all seeds alike."""

    student: EncoderConfig
    """Its encoder, called as in a TrialSpec."""
    weights_sha256: str
    """Of its tensors: names, types, shapes and bytes."""
    vocabulary: str
    """SHA-256 of its word pieces in the order of their ids, as in a DataSpec."""
    pooler: bool
    """Whether its first-token heads have BERT's dense and tanh."""
    heads: tuple[Head, ...]
    """Pre-training heads that its weights hold."""
    task: str | None = None
    """The task of the data that its classification head answers, where it has one."""
    label_names: tuple[str, ...] = ()
    """That task's labels, in the task's order."""

    @property
    def encoder(self) -> EncoderConfig:
        """Its encoder, as every teacher has one."""
        return self.student

    def __post_init__(self) -> None:
        if (self.task is None) != (not self.label_names):
            raise ValueError(f"a given teacher's task needs its labels, got {self.task!r} with {self.label_names}")


class Objective(NamedTuple):
    """Something a teacher could teach a student, and whether this one can."""

    name: str
    possible: bool
    because: str


def objectives(student: EncoderConfig, teacher: GivenTeacher, data: DataSpec) -> tuple[Objective, ...]:
    """Every objective, with what stands in its way or what makes it possible."""
    return (
        _feature_maps(student, teacher.student),
        _attention(student, teacher.student),
        _embeddings(student, teacher.student),
        _masked_language(teacher, data),
        _next_sentence(teacher),
        *(_task(name, teacher) for name in (task.name for task in data.tasks if task.kind == "classification")),
    )


def fitting_student(student: EncoderConfig, teacher: EncoderConfig) -> EncoderConfig:
    """The student with the teacher's vocabulary and positions, and with its embedding where the copy could fit.

    A Hugging Face BERT has neither trigrams nor a narrow embedding; a student that copies its tables has what they
    have.
    """
    fitting = replace(student, vocab_size=teacher.vocab_size, max_positions=teacher.max_positions)
    if student.hidden_size != teacher.hidden_size:
        return fitting
    return replace(
        fitting,
        embedding_size=teacher.embedding_size,
        trigram=teacher.trigram,
        num_token_types=teacher.num_token_types,
    )


def task_of_labels(data: DataSpec, labels: tuple[str, ...], told: str | None) -> str:
    """The task that a classification head with these labels answers.

    Args:
        labels: the head's own, in any order.
        told: the task's name as the head's config says it (`finetuning_task`), where it does.

    Raises:
        ValueError: no task has these labels, or several have and the config does not say which.
    """
    tasks = [task for task in data.tasks if task.kind == "classification"]
    fitting = [task.name for task in tasks if sorted(task.label_names) == sorted(labels)]
    if told in fitting:
        return told
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ValueError(
            f"the teacher's labels must fit one task, got {_set(labels)}, which fit {' and '.join(fitting)}; say which "
            'in its config.json ("finetuning_task"), or run with --tasks of one'
        )
    known = ", ".join(f"{task.name} {_set(task.label_names)}" for task in tasks) or "no classification task"
    raise ValueError(
        f"the teacher's labels must be those of a task, got {_set(labels)} and {known}; name them in id2label of its "
        "config.json as the task does"
    )


def _set(labels: tuple[str, ...]) -> str:
    return "{" + ", ".join(sorted(labels)) + "}"


def _feature_maps(student: EncoderConfig, teacher: EncoderConfig) -> Objective:
    obstacles = _depths(student, teacher)
    if student.hidden_size != teacher.hidden_size:
        obstacles.append(
            f"hidden_size is {student.hidden_size} in the student and {teacher.hidden_size} in the teacher: needs a "
            "learned projection"
        )
    return _objective("feature-map transfer", obstacles, "as wide and as deep as the student")


def _attention(student: EncoderConfig, teacher: EncoderConfig) -> Objective:
    same = student.num_heads == teacher.num_heads
    reason = f"{teacher.num_heads} heads in both, compared one by one"
    if not same:
        reason = (
            f"{student.num_heads} heads in the student and {teacher.num_heads} in the teacher: on averaged heads only"
        )
    return _objective("attention transfer", _depths(student, teacher), reason)


def _embeddings(student: EncoderConfig, teacher: EncoderConfig) -> Objective:
    names = ("hidden_size", "embedding_size", "trigram", "num_token_types", "max_positions", "vocab_size")
    obstacles = [
        f"{name} is {getattr(student, name)} in the student and {getattr(teacher, name)} in the teacher"
        for name in names
        if getattr(student, name) != getattr(teacher, name)
    ]
    return _objective("copy of the embeddings", obstacles, "tables of the same shapes")


def _masked_language(teacher: GivenTeacher, data: DataSpec) -> Objective:
    obstacles = [] if "masked_language" in teacher.heads else ["its weights hold no masked-language head"]
    if teacher.vocabulary != data.vocabulary:
        obstacles.append("its word pieces are not the run's")
    return _objective("pre-training distillation", obstacles, "it has a masked-language head over the same word pieces")


def _next_sentence(teacher: GivenTeacher) -> Objective:
    obstacles = [] if "next_sentence" in teacher.heads else ["its weights hold no next-sentence head"]
    return _objective("next-sentence distillation", obstacles, "it has a next-sentence head")


def _task(name: str, teacher: GivenTeacher) -> Objective:
    obstacles = [] if teacher.task == name else ["it has no classification head with this task's labels"]
    return _objective(f"logit distillation on {name}", obstacles, f"its head answers {', '.join(teacher.label_names)}")


def _depths(student: EncoderConfig, teacher: EncoderConfig) -> list[str]:
    if student.num_layers == teacher.num_layers:
        return []
    return [
        f"num_layers is {student.num_layers} in the student and {teacher.num_layers} in the teacher: needs a layer map"
    ]


def _objective(name: str, obstacles: list[str], reason: str) -> Objective:
    return Objective(name, not obstacles, "; ".join(obstacles) or reason)
