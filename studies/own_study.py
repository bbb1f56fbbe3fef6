"""A study of the user's own: a Python file that declares STUDY, run because the user typed its path.

Whatever goes wrong inside becomes one line that names file and line. What the file prints goes to stderr.
"""

import ast
import contextlib
import hashlib
import sys
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from model_zoo.config import EncoderConfig
from model_zoo.own_source import told
from search.data.source import DataSources
from search.data.spec import DataSpec
from search.files import read_json
from search.own_code import own_code_of, planned_specs
from search.study import Ablation, Scale, Search, Study
from studies.own_study_checks import OwnStudyError, check_declarations, check_declared, check_sources, check_study

MODULE = "thinbert_own_study"
"""What the file is called among imported modules; its own name may be that of another one."""


def is_study_file(name: str) -> bool:
    """Whether a study is named by a path and not by a name of the catalogue."""
    return name.endswith(".py") or "/" in name or "\\" in name


def load_own_study(path: Path, taken: Collection[str]) -> Study:
    """The STUDY of a file. Runs the file.

    Args:
        taken: names of other studies.

    Raises:
        ValueError: no such file, an error inside, no STUDY or several, another type, or a name that is taken.
    """
    if not path.is_file():
        raise ValueError(
            f"a study of one's own must be a Python file, got {str(path)!r}, which is none; check the path"
        )
    with _telling(path):
        check_declarations(path, ast.parse(path.read_bytes(), str(path)))
        module = _execute(path)
    study = check_study(path, getattr(module, "STUDY", None), taken)
    return replace(study, sources=_checked_sources(path, study), declare=_checked_declare(path, study))


def about_own_study(name: str, declared: Search | Ablation) -> dict[str, Any]:
    """What study.json says of a study file and of code of one's own; empty for a study that ships."""
    if not is_study_file(name):
        return {}
    path = Path(name)
    shown = f".../{path.name}" if path.is_absolute() else str(path)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    named = sorted({name for spec in planned_specs(declared) for name in own_code_of(spec)})
    return {"study_file": {"path": shown, "sha256": content}, "own_code": named}


def changes_since(run: Path, about: dict[str, Any]) -> list[str]:
    """What of the user's files is another than when the run folder was last used, in lines for people."""
    if "study_file" not in about or not (run / "study.json").exists():
        return []
    known = read_json(run / "study.json")
    before, after = known.get("study_file"), about["study_file"]
    lines = []
    if isinstance(before, dict) and before.get("sha256") != after["sha256"]:
        lines.append(f"{after['path']} has changed since: finished trials that it still declares are not run again")
    hashes = {str(one).partition("@")[0]: one for one in known.get("own_code", [])}
    for one in about["own_code"]:
        if hashes.get(one.partition("@")[0], one) != one:
            lines.append(f"{one.partition('@')[0]} has changed since: trials that use it are new ones")
    return lines


def _execute(path: Path) -> types.ModuleType:
    """Run the file as a module. Its folder comes last in the import path: a file there must not hide one of ours."""
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    module = types.ModuleType(MODULE)
    module.__file__ = str(path.resolve())
    sys.modules[MODULE] = module
    exec(compile(path.read_bytes(), str(path.resolve()), "exec", dont_inherit=True), module.__dict__)
    return module


def _checked_sources(path: Path, study: Study) -> Callable[[Scale], DataSources]:
    def sources(scale: Scale) -> DataSources:
        with _telling(path):
            return check_sources(path, study.sources(scale))

    return sources


def _checked_declare(path: Path, study: Study) -> Callable[[Scale, DataSpec], Search | Ablation]:
    def declare(scale: Scale, data: DataSpec) -> Search | Ablation:
        with _telling(path):
            declared = check_declared(path, study, scale, data, study.declare(scale, data))
        return replace(declared, space=_checked_space(path, declared)) if isinstance(declared, Search) else declared

    return declare


def _checked_space(path: Path, search: Search) -> Callable[[Any], EncoderConfig]:
    def space(trial: Any) -> EncoderConfig:
        with _telling(path):
            return search.space(trial)

    return space


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Any error becomes one line with its place in the user's file."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except OwnStudyError:
        raise
    except (Exception, SystemExit) as error:
        text = told(error)
        way_out: Literal["", "; mend it and run the same command again"] = ""
        if type(error) is not ValueError or ";" not in text:
            way_out = "; mend it and run the same command again"
        place = "" if path.name in text else f"{path.name}: "
        raise OwnStudyError(f"{place}{text}{way_out}") from error
