"""What `thinbert show STUDY --teacher FOLDER` says of the teacher. Reads its weights, so it imports torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from model_zoo.cost import cost
from search.bring_teacher import Brought, given_teacher, read_teacher
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher, fitting_student, objectives
from search.study import Ablation, Scale, Search, Study
from search.values import to_json
from studies.given import with_teacher


def taught_overview(
    study: Study, scale: Scale, data: DataSpec, folder: Path
) -> tuple[Search | Ablation, dict[str, Any]]:
    """The study with the teacher of a folder (its own where it cannot run with it), and what is said of the teacher.

    The data are the study's, cut into the teacher's word pieces; a run on other text has other tasks.

    Raises:
        ValueError: the folder holds no teacher.
    """
    brought = read_teacher(folder)
    pieces = replace(data, vocabulary=brought.vocabulary, vocab_size=brought.config.vocab_size)
    try:
        teacher, refused = given_teacher(brought, pieces), ""
    except ValueError as error:  # its labels are of other tasks: the encoder can still be judged
        teacher, refused = given_teacher(brought._replace(classifier={}), pieces), str(error)
    declared = study.declare(scale, pieces)
    if not refused:
        try:
            declared = with_teacher(declared, teacher)
        except ValueError as error:
            refused = str(error)
    return declared, _about(teacher, brought, declared, refused)


def _about(teacher: GivenTeacher, brought: Brought, declared: Search | Ablation, refused: str) -> dict[str, Any]:
    student = fitting_student(_student(declared), teacher.student)
    judged = objectives(student, teacher, declared.baseline.data)
    return {
        "fingerprint": fingerprint(teacher),
        "spec": to_json(teacher),
        "parameters": cost(teacher.student).parameters,
        "holds": _holds(teacher, brought),
        "objectives": [one._asdict() for one in judged],
        "refused": refused,
    }


def _student(declared: Search | Ablation) -> Any:
    """The encoder of the first trial that has a teacher; the baseline's where none has."""
    specs = [arm.spec for arm in declared.arms] if isinstance(declared, Ablation) else [declared.baseline]
    return next((spec for spec in specs if spec.teacher is not None), declared.baseline).student


def _holds(teacher: GivenTeacher, brought: Brought) -> str:
    heads = [f"{head.replace('_', '-')} head" for head in teacher.heads]
    if brought.classifier:
        heads.append(f"classification head of {', '.join(brought.label_names)}")
    return " and ".join(heads) or "no head"
