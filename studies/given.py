"""A study with the user's own teacher in the place of the one it would train. Imports nothing heavy."""

from dataclasses import replace

from model_zoo.config import EncoderConfig
from model_zoo.student import Student
from search.given_teacher import GivenTeacher, fitting_student
from search.study import Ablation, Search, Suggests
from search.trial import TrialSpec


def with_teacher(declared: Search | Ablation, teacher: GivenTeacher) -> Search | Ablation:
    """The declaration with every trained teacher replaced, and students with the teacher's vocabulary and positions.

    Raises:
        ValueError: one line: the teacher cannot teach what the study's recipes ask for, and what would do.
    """
    if teacher.student.max_positions < declared.latency.length:
        raise ValueError(
            f"{declared.name}: latency is measured at {declared.latency.length} tokens, the teacher, whose positions "
            f"the students take over, has {teacher.student.max_positions}; choose a smaller scale or a longer teacher"
        )
    scaling = tuple(row for row in declared.scaling if "teacher" not in row.what)
    if isinstance(declared, Ablation):
        arms = tuple(replace(arm, spec=_taught(arm.spec, teacher)) for arm in declared.arms)
        return replace(declared, arms=arms, scaling=scaling)
    space = declared.space

    def fitting(trial: Suggests) -> EncoderConfig:
        return fitting_student(space(trial), teacher.student)

    return replace(declared, baseline=_taught(declared.baseline, teacher), space=fitting, scaling=scaling)


def _taught(spec: TrialSpec, teacher: GivenTeacher) -> TrialSpec:
    student: Student = replace(spec.student, vocab_size=teacher.student.vocab_size)
    if isinstance(student, EncoderConfig):
        student = fitting_student(student, teacher.student)
    if spec.ensemble:
        raise ValueError(
            f"a given teacher takes the place of one teacher, got an arm with {len(spec.teachers)} of them; leave "
            "--teacher out"
        )
    return replace(spec, student=student, teacher=None if spec.teacher is None else teacher)
