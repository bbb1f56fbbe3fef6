"""A study of the user's own: a Python file that declares STUDY, run because the user typed its path.

Whatever goes wrong inside becomes one line that names file and line. What the file prints goes to stderr.
"""

import ast
import contextlib
import hashlib
import re
import sys
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from model_zoo.config import EncoderConfig
from model_zoo.own_source import source_files, told
from search.data.spec import DataSpec
from search.files import read_json
from search.own_code import own_code_of, planned_specs
from search.study import Ablation, Scale, Search, Study

MODULE = "thinbert_own_study"
"""What the file is called among imported modules; its own name may be that of another one."""


class OwnStudyError(ValueError):
    """Something in the user's file, already told with its place."""


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
        _check_declarations(path, ast.parse(path.read_bytes(), str(path)))
        module = _execute(path)
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise OwnStudyError(
            f"{path.name}: STUDY must be a search.study.Study, got {type(study).__name__}; declare STUDY = "
            "Study(name=..., question=..., sources=..., declare=...)"
        )
    _check_study(path, study, taken)
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


def _check_declarations(path: Path, tree: ast.Module) -> None:
    lines = [
        node.lineno
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "STUDY"
    ]
    if len(lines) > 1:
        raise OwnStudyError(
            f"{path.name}, line {lines[1]}: a file must declare one STUDY, got another in line {lines[0]}; give each "
            "study a file of its own"
        )
    if not lines:
        raise OwnStudyError(
            f"{path.name} must declare STUDY = Study(...) at its top level, got no STUDY; see CONTRIBUTING.md"
        )


def _check_study(path: Path, study: Study, taken: Collection[str]) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", str(study.name)):
        raise OwnStudyError(
            f"{path.name}: a study's name must be of small letters, digits, - and _, got {study.name!r}; it names the "
            "run folder"
        )
    if study.name in taken:
        raise OwnStudyError(f"{path.name}: a study's name must be its own, got {study.name!r}, which ships; rename it")


def _checked_sources(path: Path, study: Study) -> Callable[[Scale], Any]:
    def sources(scale: Scale) -> Any:
        with _telling(path):
            return study.sources(scale)

    return sources


def _checked_declare(path: Path, study: Study) -> Callable[[Scale, DataSpec], Search | Ablation]:
    def declare(scale: Scale, data: DataSpec) -> Search | Ablation:
        with _telling(path):
            declared = study.declare(scale, data)
            _check_declared(path, study, scale, declared)
            _check_code_apart(path, declared)
        return replace(declared, space=_checked_space(path, declared)) if isinstance(declared, Search) else declared

    return declare


def _checked_space(path: Path, search: Search) -> Callable[[Any], EncoderConfig]:
    def space(trial: Any) -> EncoderConfig:
        with _telling(path):
            return search.space(trial)

    return space


def _check_declared(path: Path, study: Study, scale: Scale, declared: object) -> None:
    if not isinstance(declared, Search | Ablation):
        raise OwnStudyError(
            f"{path.name}: declare must return a Search or an Ablation, got {type(declared).__name__}; return one"
        )
    for what, asked, found in (("name", study.name, declared.name), ("scale", scale, declared.scale)):
        if asked != found:
            raise OwnStudyError(
                f"{path.name}: declare must return a study of the {what} {asked!r}, got {found!r}; pass {what}="
                f"{'STUDY.name' if what == 'name' else 'scale'}"
            )


def _check_code_apart(path: Path, declared: Search | Ablation) -> None:
    for named in {name for spec in planned_specs(declared) for name in own_code_of(spec)}:
        module = named.partition(":")[0]
        if path.resolve() in [file.resolve() for file in source_files(module).values()]:
            raise OwnStudyError(
                f"{path.name}: a feed-forward or a loss must be in another file than the study, got "
                f"{named.partition('@')[0]!r}: every edit of the study would make new trials; move it to a file beside"
            )


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
