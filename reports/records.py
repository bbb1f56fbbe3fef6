"""The files of a run folder as plain dictionaries, checked and cleaned; knows nothing of pandas, figures or pages.

A file that is not a trial of this schema is never dropped in silence: `read_run` lists it as a problem and goes on.
Texts lose whatever could name a person or a place on a disk, so that no later table or page can show it.
"""

import gc
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reports.cleaning import clean
from reports.foreign import without_foreign
from reports.form import as_deployed, scored_form
from reports.sessions import Session, read_sessions
from search.files import read_json

Record = dict[str, Any]
"""One trial file (schema 1 in ARCHITECTURE.md)."""

SCHEMA = 1
STATUSES = ("complete", "diverged", "failed")
DAMAGED = "is not JSON but damaged"
LATENCY_METRICS = ("latency_ms", "latency_ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run folder holds."""

    name: str
    study: Record = field(repr=False)
    """study.json; empty where there is none."""
    records: tuple[Record, ...] = field(repr=False)
    """Trials in the order of their first Optuna number, then fingerprint."""
    problems: tuple[str, ...]
    """One line per file that could not be used."""
    sessions: tuple[Session | None, ...] = field(default=(), repr=False)
    """Measuring sessions in order, None for a refused one; read only where claims are about them."""

    @property
    def needs_sessions(self) -> bool:
        """Whether some claim of the study is about measuring sessions."""
        listed = self.study.get("claims")
        claims = listed if isinstance(listed, list) else []
        return any(isinstance(claim, dict) and claim.get("blocks") == "sessions" for claim in claims)

    def _repr_html_(self) -> str:
        """In a notebook: question, trials, arms and problems."""
        from reports.notebook import run_html

        return run_html(self)


def read_run(folder: Path) -> Run:
    """Everything readable in a run folder; a search's scores are of the form that it optimised (`reports/form.py`).

    Raises ValueError where the folder does not exist or holds neither study.json nor trials/.
    """
    run = _read_files(folder)
    form = "" if is_ablation(run) else scored_form(run.study)
    return replace(run, records=tuple(as_deployed(record, form) for record in run.records))


def _read_files(folder: Path) -> Run:
    """The files as they are.

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
    run = Run(name=clean(name), study=study, records=tuple(kept), problems=(*problems, *foreign))
    if not run.needs_sessions:
        return run
    sessions, more = read_sessions(folder)
    return replace(run, sessions=sessions, problems=(*run.problems, *more))


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


def is_ablation(run: Run) -> bool:
    """Whether the run compares arms instead of searching."""
    return run.study.get("kind") == "ablation"


def find_measurement(record: Record, metric: str, split: str | None = None) -> Record | None:
    """The first measurement of a metric, or None where it was not made.

    With `split`, only one whose conditions name that split, or name none.
    """
    for item in record.get("measurements", ()):
        if item["metric"] == metric and (split is None or item["conditions"].get("split", split) == split):
            found: Record = item
            return found
    return None


def value_of(record: Record, metric: str, split: str | None = None) -> float | None:
    """The number of `find_measurement`."""
    found = find_measurement(record, metric, split)
    return None if found is None else float(found["value"])


def interval_of(record: Record, metric: str, split: str | None = None) -> tuple[float, float] | None:
    """(low, high) of `find_measurement`; None where no interval was recorded."""
    found = find_measurement(record, metric, split)
    interval = found.get("interval") if found else None
    return (float(interval["low"]), float(interval["high"])) if interval else None


def curve_points(record: Record) -> list[Record]:
    """The points of a trial's learning curves that are points, cleaned.

    Here and not for every trial that is read: they are most of a file, and few trials are drawn.
    """
    return [
        {
            "stage": clean(point["stage"]),
            "step": point["step"],
            "metric": clean(point["metric"]),
            "value": point["value"],
        }
        for point in record["curves"]
        if _is_curve_point(point)
    ]


def task_metrics(records: Iterable[Record]) -> list[str]:
    """Names such as `agreement/accuracy` of single tasks' test scores, sorted, a task's primary metric first."""
    found: dict[str, bool] = {}
    for record in records:
        for item in record["measurements"]:
            if is_task_score(item):
                found.setdefault(item["metric"], bool(item["conditions"].get("primary", True)))
    return sorted(found, key=lambda metric: (metric.rpartition("/")[0], not found[metric], metric))


def primary_metrics(records: Iterable[Record]) -> list[str]:
    """The test scores, such as `agreement/accuracy`, that make up the accuracy; sorted."""
    return sorted(
        {
            item["metric"]
            for record in records
            for item in record["measurements"]
            if is_task_score(item) and item["conditions"].get("primary", True)
        }
    )


def is_task_score(item: Record) -> bool:
    """Whether it is a task's score on test as training gives it; what a deployed form scores names its runtime."""
    metric = item["metric"]
    return "/" in metric and not metric.startswith("validation/") and "runtime" not in item["conditions"]


def primary_tasks(records: Iterable[Record]) -> list[str]:
    """The tasks whose primary metrics make up the accuracy."""
    return sorted({metric.rpartition("/")[0] for metric in primary_metrics(records)})


def majority_mean(run: Run) -> float | None:
    """What always answering the most frequent class scores on average over the tasks that make up the accuracy.

    Tasks without classes (regression, spans) count as 0, which is what one constant answer scores there. None where no
    trial was scored or no majority class was recorded.
    """
    majority, tasks = majority_of(run.study), primary_tasks(run.records)
    known = [task for task in tasks if task in majority]
    return sum(majority[task] for task in known) / len(tasks) if known else None


def first_number(record: Record) -> float:
    """The lowest Optuna trial number of a record; infinity where it has none."""
    numbers = [trial["number"] for trial in record["trials"] if isinstance(trial.get("number"), int)]
    return min(numbers, default=math.inf)


def teacher_of(study: Record) -> Record:
    """The teacher of a study in the form of a record, with what was measured."""
    teacher = study.get("teacher")
    teacher = teacher if isinstance(teacher, dict) else {}
    listed = teacher.get("measurements")
    measured = [item for item in listed if _is_measurement(item)] if isinstance(listed, list) else []
    measured = [{**item, "conditions": item.get("conditions") or {}} for item in measured]
    return {"fingerprint": str(teacher.get("fingerprint") or ""), "measurements": measured}


def reference_of(run: Run) -> str:
    """The name of the model that latency ratios refer to."""
    named = (find_measurement(record, "latency_ratio") for record in run.records)
    known = (item["conditions"].get("reference") for item in named if item)
    return str(next((name for name in known if name), "the reference model"))


def majority_of(study: Record) -> dict[str, float]:
    """Score of always answering the most frequent class, by task; tasks without one are absent."""
    listed = study.get("majority")
    entries = listed.items() if isinstance(listed, dict) else ()
    return {
        str(task): float(entry["value"])
        for task, entry in entries
        if isinstance(entry, dict) and _is_number(entry.get("value"))
    }


def baseline_of(study: Record) -> Record | None:
    """The spec of the baseline, None where it was not recorded."""
    baseline = study.get("baseline")
    return baseline if isinstance(baseline, dict) and isinstance(baseline.get("student"), dict) else None


def _read_study(path: Path) -> tuple[Record, list[str]]:
    if not path.exists():
        return {}, ["study.json: missing, so the question, the scale and the baseline are not recorded"]
    content, problem = _load(path)
    if problem:
        return {}, [f"study.json: {problem}; the question, the scale and the baseline are not known"]
    problem = _schema_problem({"schema": SCHEMA, **content} if isinstance(content, dict) else content, "study")
    if problem:
        return {}, [f"study.json: {problem}; the question, the scale and the baseline are not known"]
    if "study" in content and "name" not in content:
        content["name"] = content["study"]
    return clean(content), []


def _read_trial(path: Path, shared: dict[str, Any]) -> tuple[Record | None, str]:
    content, problem = _load(path)
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


def _load(path: Path) -> tuple[Any, str]:
    try:
        return read_json(path), ""
    except OSError as error:
        return None, f"cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return None, DAMAGED


def _schema_problem(content: Any, what: str) -> str:
    """Why a document is none of this version's; empty where it is."""
    found = content.get("schema") if isinstance(content, dict) else None
    if found == SCHEMA:
        return ""
    if isinstance(found, int) and found > SCHEMA:
        return f"is a {what} of schema {found}, newer than the {SCHEMA} that this version reads; update thinbert"
    return f"is not a {what} of schema {SCHEMA}"


def _trial_problem(content: Any) -> str:
    problem = _schema_problem(content, "trial")
    if problem:
        return problem
    if not isinstance(content.get("fingerprint"), str) or content.get("status") not in STATUSES:
        return f"has no fingerprint or no status out of {', '.join(STATUSES)}"
    if not isinstance(content.get("spec"), dict) or not isinstance(content["spec"].get("student"), dict):
        return "has no spec with a student"
    if not all(isinstance(content.get(key) or [], list) for key in ("measurements", "trials", "curves")):
        return "has measurements, trials or curves that are no lists"
    for item in content.get("measurements") or []:
        if not _is_measurement(item):
            return "has a measurement that is no finite number with a name"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_measurement(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("metric"), str) or not _is_number(item.get("value")):
        return False
    interval = item.get("interval")
    if interval is not None and not (
        isinstance(interval, dict) and _is_number(interval.get("low")) and _is_number(interval.get("high"))
    ):
        return False
    return isinstance(item.get("conditions") or {}, dict)


def _is_curve_point(point: Any) -> bool:
    return (
        isinstance(point, dict)
        and isinstance(point.get("stage"), str)
        and isinstance(point.get("metric"), str)
        and _is_number(point.get("step"))
        and _is_number(point.get("value"))
    )
