"""The studies that ship, by name, and those of one's own, by file."""

import difflib
import importlib
from pathlib import Path

from search.study import SCALES, Scale, Study
from studies.own_study import is_study_file, load_own_study

MODULES = {
    "student-search": "studies.student_search",
    "knowledge-transfer": "studies.knowledge_transfer",
    "transfer-methods": "studies.transfer_methods",
    "teacher-search": "studies.teacher_search",
    "student-grid": "studies.student_grid",
    "operational-optimisations": "studies.operational_optimisations",
    "quantisation": "studies.quantisation",
    "training-strategies": "studies.training_strategies",
    "training-objectives": "studies.training_objectives",
    "systems": "studies.systems",
    "interactions": "studies.interactions",
}


def load_study(name: str) -> Study:
    """The STUDY of that name, or of the user's own file (which is run).

    Raises:
        ValueError: no such study, with the nearest names; or what is wrong with the file.
    """
    if is_study_file(name):
        return load_own_study(Path(name), taken=MODULES)
    if name not in MODULES:
        near = difflib.get_close_matches(name, MODULES, n=1)
        if Path(f"{name}.py").is_file():
            near = [f"./{name}.py"]
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(MODULES)}"
        raise ValueError(f"study must be one that `thinbert list` shows, got {name!r}; {hint}")
    study: Study = importlib.import_module(MODULES[name]).STUDY
    return study


def all_studies() -> list[Study]:
    """Every study, in the order of `thinbert list`."""
    return [load_study(name) for name in MODULES]


def check_scale(scale: str) -> Scale:
    """The scale of that name. Raises ValueError otherwise."""
    for known in SCALES:
        if scale == known:
            return known
    raise ValueError(f"scale must be one of {', '.join(SCALES)}; got {scale!r}")
