"""What a study file of the user's own must hold, each rule with its error."""

import ast
import re
from collections.abc import Collection
from pathlib import Path

from model_zoo.own_source import source_files
from search.data.source import DataSources
from search.data.spec import DataSpec
from search.latency.case import LatencyCase
from search.own_code import own_code_of, planned_specs
from search.study import Ablation, Arm, Scale, Search, Study, check_search, plan
from search.trial import TrialSpec


class OwnStudyError(ValueError):
    """Something in the user's file, already told with its place."""


def check_declarations(path: Path, tree: ast.Module) -> None:
    """Raises OwnStudyError unless the file sets STUDY once at its top level."""
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


def check_study(path: Path, study: object, taken: Collection[str]) -> Study:
    """The study, if it is one and has a name of its own. Raises OwnStudyError otherwise."""
    if not isinstance(study, Study):
        raise OwnStudyError(
            f"{path.name}: STUDY must be a search.study.Study, got {type(study).__name__}; declare STUDY = "
            "Study(name=..., question=..., sources=..., declare=...)"
        )
    if not isinstance(study.name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", study.name):
        raise OwnStudyError(
            f"{path.name}: a study's name must be of small letters, digits, - and _, got {study.name!r}; it names the "
            "run folder"
        )
    if not isinstance(study.question, str):
        raise OwnStudyError(f"{path.name}: a study's question must be text, got {study.question!r}; write one")
    if study.name in taken:
        raise OwnStudyError(f"{path.name}: a study's name must be its own, got {study.name!r}, which ships; rename it")
    return study


def check_sources(path: Path, sources: object) -> DataSources:
    """The sources, if they are. Raises OwnStudyError otherwise."""
    if not isinstance(sources, DataSources):
        raise OwnStudyError(
            f"{path.name}: sources must return search.data.source.DataSources, got {type(sources).__name__}; the "
            "built-in language is studies.scales.sources"
        )
    return sources


def check_declared(path: Path, study: Study, scale: Scale, data: DataSpec, declared: object) -> Search | Ablation:
    """What `declare` returned, if it can be planned.

    Raises:
        OwnStudyError: another type, name, scale or data, or code of one's own in the study's own file.
        ValueError: what `plan` and `check_search` refuse.
    """
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
    _check_fields(path, declared)
    _check_code_apart(path, declared)
    for spec in planned_specs(declared):
        if spec.data != data:
            raise OwnStudyError(
                f"{path.name}: every trial must be on the data that declare is given, got others; pass data=data"
            )
    if isinstance(declared, Search):
        check_search(declared)
    else:
        plan(declared)
    return declared


def _check_fields(path: Path, declared: Search | Ablation) -> None:
    """Types of what is used before anything of ours would notice."""
    wrong: list[tuple[str, object, str]] = []
    if not isinstance(declared.latency, LatencyCase):
        wrong.append(("latency", declared.latency, "a LatencyCase"))
    if not isinstance(declared.latency_rounds, int):
        wrong.append(("latency_rounds", declared.latency_rounds, "a whole number"))
    if isinstance(declared, Search):
        if not isinstance(declared.baseline, TrialSpec):
            wrong.append(("baseline", declared.baseline, "a TrialSpec"))
        cap = declared.max_latency_ms
        if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int | float)):
            wrong.append(("max_latency_ms", cap, "a number of milliseconds or None"))
    else:
        arms, seeds = declared.arms, declared.seeds
        if not isinstance(arms, tuple | list) or not arms or not all(_is_arm(arm) for arm in arms):
            wrong.append(("arms", arms, "a tuple of Arm, each with a name and a TrialSpec"))
        if not isinstance(seeds, tuple | list) or not seeds or not all(isinstance(seed, int) for seed in seeds):
            wrong.append(("seeds", seeds, "a tuple of whole numbers"))
    for name, value, rule in wrong:
        raise OwnStudyError(f"{path.name}: {name} must be {rule}, got {value!r:.60}; see CONTRIBUTING.md")


def _is_arm(arm: object) -> bool:
    return isinstance(arm, Arm) and isinstance(arm.name, str) and isinstance(arm.spec, TrialSpec)


def _check_code_apart(path: Path, declared: Search | Ablation) -> None:
    for named in sorted({name for spec in planned_specs(declared) for name in own_code_of(spec)}):
        module = named.partition(":")[0]
        if path.resolve() in [file.resolve() for file in source_files(module).values()]:
            raise OwnStudyError(
                f"{path.name}: a feed-forward or a loss must be in another file than the study, got "
                f"{named.partition('@')[0]!r}: every edit of the study would make new trials; move it to a file beside"
            )
