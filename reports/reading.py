"""The files of a run folder, checked and cleaned: from paths to a `Run`.

A file that is not a trial of this schema is never dropped in silence: `read_run` lists it as a problem and goes on.
Texts lose whatever could name a person or a place on a disk, so that no later table or page can show it.
"""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports.cleaning import clean
from reports.foreign import without_foreign
from reports.form import as_deployed, scored_form
from reports.loading import DAMAGED, SCHEMA, load, schema_problem
from reports.records import Record, Run, first_number, is_ablation, is_measurement
from reports.sessions import read_sessions

STATUSES = ("complete", "diverged", "failed")


def read_run(folder: Path, *, sessions: bool = False) -> Run:
    """Everything readable in a run folder; a search's scores are of the form that it optimised (`reports/form.py`).

    Args:
        sessions: the samples of latency sessions too, whatever the claims are about.

    Raises:
        ValueError: the folder does not exist or holds neither study.json nor trials/.
    """
    run = _read_files(folder)
    if sessions or run.needs_sessions:
        found = read_sessions(folder)
        run = replace(run, sessions=found, problems=(*run.problems, *found.problems))
    form = "" if is_ablation(run) else scored_form(run.study)
    return replace(run, records=tuple(as_deployed(record, form) for record in run.records))


def _read_files(folder: Path) -> Run:
    """The files but those of latency sessions, as they are.

    Raises ValueError where the folder does not exist or holds neither study.json nor trials/.
    """
    if not folder.is_dir():
        raise ValueError(f"a run must be a folder, got {str(folder)!r}, which is none; `thinbert runs` lists them")
    if not (folder / "study.json").is_file() and not (folder / "trials").is_dir():
        raise ValueError(f"a run folder holds study.json or trials/, got {str(folder)!r} with neither")
    study, problems = _read_study(folder / "study.json")
    records: list[Record] = []
    shared: dict[str, Any] = {}
    with _uncollected():
        for path in sorted((folder / "trials").glob("*.json")):
            record, problem = _read_trial(path, shared)
            if record is None:
                problems.append(f"trials/{clean(path.name)}: {problem}")
            else:
                records.append(record)
    records.sort(key=lambda record: (first_number(record), record["fingerprint"]))
    kept, foreign = without_foreign(records, study)
    name = str(study.get("name") or folder.resolve().name)
    return Run(name=clean(name), study=study, records=tuple(kept), problems=(*problems, *foreign))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Reading makes millions of objects that all stay: looking for garbage among them takes a quarter of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_trials(run_folder: Path) -> list[Record]:
    """The trial records of a run as their files say; `read_run` also says which files could not be used."""
    return list(_read_files(run_folder).records)


def _read_study(path: Path) -> tuple[Record, list[str]]:
    if not path.exists():
        return {}, ["study.json: missing, so the question, the scale and the baseline are not recorded"]
    content, problem = load(path)
    if problem:
        return {}, [f"study.json: {problem}; the question, the scale and the baseline are not known"]
    problem = schema_problem({"schema": SCHEMA, **content} if isinstance(content, dict) else content, "study")
    if problem:
        return {}, [f"study.json: {problem}; the question, the scale and the baseline are not known"]
    if "study" in content and "name" not in content:
        content["name"] = content["study"]
    return clean(content), []


def _read_trial(path: Path, shared: dict[str, Any]) -> tuple[Record | None, str]:
    content, problem = load(path)
    if problem == DAMAGED:
        problem += "; the same run again moves it aside and trains that trial anew"
    problem = problem or _trial_problem(content)
    if not problem and content["fingerprint"] != path.stem:
        problem = f"holds the trial {content['fingerprint']}: a copy or a renamed file"
    if problem:
        return None, problem
    content["reason"] = str(content.get("reason") or "")
    content["measurements"] = content.get("measurements") or []
    for item in content["measurements"]:
        item["conditions"] = item.get("conditions") or {}
    content["trials"] = [trial for trial in content.get("trials") or [] if isinstance(trial, dict)]
    curves = content.pop("curves", None) or []
    content["provenance"] = content["provenance"] if isinstance(content.get("provenance"), dict) else {}
    spec = {clean(field): _shared(value, shared) for field, value in content.pop("spec").items()}
    return {**clean(content), "spec": spec, "curves": curves}, ""


def _shared(value: Any, shared: dict[str, Any]) -> Any:
    """A part of a specification, cleaned; equal ones (data, recipe, teacher of all trials) are one object in memory.

    Args:
        shared: the parts by their JSON, to which this one is added.
    """
    text = json.dumps(value)
    if text not in shared:
        shared[text] = clean(value)
    return shared[text]


def _trial_problem(content: Any) -> str:
    problem = schema_problem(content, "trial")
    if problem:
        return problem
    if not isinstance(content.get("fingerprint"), str) or content.get("status") not in STATUSES:
        return f"has no fingerprint or no status out of {', '.join(STATUSES)}"
    if not isinstance(content.get("spec"), dict) or not isinstance(content["spec"].get("student"), dict):
        return "has no spec with a student"
    if not all(isinstance(content.get(key) or [], list) for key in ("measurements", "trials", "curves")):
        return "has measurements, trials or curves that are no lists"
    for item in content.get("measurements") or []:
        if not is_measurement(item):
            return "has a measurement that is no finite number with a name"
    return ""
