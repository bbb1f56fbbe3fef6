"""`thinbert run`, from the request to the printed front: checks, prepares the data, drives the study, reports."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.bring_teacher import check_language, given_teacher, keep_teacher, read_teacher
from search.data.prepare import prepare, read_report
from search.data.spec import DataSpec
from search.deployed_scores import check_scored
from search.execute import DiskFullError, Options, Watcher
from search.latency.measure import check_measurable
from search.own_code import check_own_code, planned_specs
from search.predict import predict_study
from search.record import TrialRecord
from search.run import RunSummary, run_study
from search.run_folder import check_run, study_document
from search.study import Ablation, Search, check_search
from search.training.acceleration import accelerated
from search.values import to_json
from search.worker import Home
from studies import terminal
from studies.catalogue import check_scale, load_study
from studies.data_specs import known_data_spec
from studies.given import with_teacher
from studies.housekeeping import is_running
from studies.own_study import about_own_study, changes_since
from studies.request import RunRequest, apply_request, request_sources
from studies.until_decided import budget_seconds, run_until_decided, with_looks


def run_request(request: RunRequest, *, as_json: bool) -> int:
    """Run a study as asked. Returns the exit status: 1 where trials failed, else 0.

    Raises:
        ValueError: bad input, before anything is written to the run folder.
        OSError: the disk is full, or a folder is not writable.
    """
    scale = check_scale(request.scale)
    study = load_study(request.study)
    device = find_device(request.device)
    acceleration = accelerated(request.accelerate, device)
    brought = None if request.teacher is None else read_teacher(request.teacher)
    sources = request_sources(request, study, scale)
    home = home_of(request.runs, f"{study.name}-{scale}")
    if brought is not None and sources.corpus is None:
        check_language(brought, known_data_spec(sources, home.data))
    with readable_disk_errors():
        if not as_json and sys.stderr.isatty():
            print("preparing the data ...", file=sys.stderr, flush=True)
        data = prepare(sources, home.data)
        declared = study.declare(scale, data)
        if brought is not None:
            declared = with_teacher(declared, given := given_teacher(brought, data))
        declared = apply_request(request, declared, device)
        budget = None if request.budget is None else budget_seconds(request.budget)
        if budget is not None:
            declared = with_looks(declared)
        if isinstance(declared, Search):
            check_search(replace(declared, latency=declared.latency.on(device)))
        check_own_code(planned_specs(declared))
        if isinstance(declared, Ablation):
            check_scored(declared)
        about = about_run(request, home, data) | about_own_study(request.study, declared)
        check_run(home.run, study_document(declared, about))
        if is_running(home.run):
            raise ValueError(f"{home.run.name} is in use by another process; wait for it or choose --runs")
        if isinstance(declared, Search):
            check_measurable(declared.baseline.encoder, declared.latency.on(device))
        with terminal.Display(quiet=as_json, predicted_seconds=predict_study(declared).alone_seconds) as display:
            for line in (*read_report(home.data, data).lines(), *changes_since(home.run, about)):
                display.say(line)
            if brought is not None:
                keep_teacher(brought, given, home.teachers)
            watcher = Watcher(say=display.say, progress=display.progress)
            options = Options(
                workers=request.workers, device=device, acceleration=acceleration, replicas=request.replicas
            )
            if budget is not None and isinstance(declared, Ablation):
                summary = run_until_decided(declared, home, options, about, watcher, budget)
            else:
                summary = run_study(declared, home, options, about, watcher)
        return _finish(home.run, summary, as_json)


def find_device(name: str) -> str:
    """`cpu` or `cuda`. Raises ValueError where a GPU was asked for and there is none."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda needs a GPU that torch can use, found none; use --device cpu or auto")
    return name


def home_of(runs: Path, name: str) -> Home:
    """The folders of a run of some name. Raises ValueError where the root is a file."""
    if runs.exists() and not runs.is_dir():
        raise ValueError(f"--runs must be a folder, got the file {runs}")
    return Home(run=runs / name, data=runs / "data", teachers=runs / "teachers")


@contextlib.contextmanager
def readable_disk_errors() -> Iterator[None]:
    """A full disk reaches the user as one OSError, whichever library met it."""
    try:
        yield
    except DiskFullError as error:
        raise ValueError(
            f"the disk must have room for the run, got: {error}; free some space, the same command goes on"
        ) from error


def about_run(request: RunRequest, home: Home, data: DataSpec) -> dict[str, Any]:
    """What study.json says beside the declaration. Paths are the user's own words, never made absolute."""
    report = read_report(home.data, data)
    majority = {
        task.name: {"metric": task.metric, "value": 100 * task.majority_score}
        for task in report.tasks
        if task.majority_score is not None
    }
    return {"command": command_text(request), "data_report": to_json(report), "majority": majority}


def command_text(request: RunRequest) -> str:
    """The command that repeats a run, whatever the number of workers was."""
    parts = ["thinbert", "run", _shown(request.study), "--scale", request.scale, "--runs", _shown(str(request.runs))]
    options = (
        ("--trials", request.trials),
        ("--corpus", request.corpus),
        ("--vocabulary", request.vocabulary),
        ("--teacher", request.teacher),
        ("--tasks", ",".join(request.tasks) or None),
        ("--task-data", request.task_data),
        ("--accelerate", request.accelerate or None),
        ("--runtime", request.runtime),
        ("--threads", request.threads),
        (
            "--max-latency-ms",
            None if request.max_latency_ms is None else repr(request.max_latency_ms).removesuffix(".0"),
        ),
        ("--replicas", request.replicas if request.replicas > 1 else None),
        ("--profile", request.profile),
        ("--budget", request.budget),
    )
    for name, value in options:
        if value is not None:
            parts += [name, _shown(str(value))]
    if request.until_decided:
        parts.append("--until-decided")
    for name, texts in (("--task-file", request.task_files), ("--try", request.first)):
        for text in texts:
            parts += [name, _shown(text)]
    return " ".join(parts)


def _shown(text: str) -> str:
    """An absolute path tells of the user's machine: only its last part is kept."""
    import shlex

    return shlex.quote(f".../{Path(text).name}" if Path(text).is_absolute() else text)


def _finish(run: Path, summary: RunSummary, as_json: bool) -> int:
    from reports.page import write_report
    from reports.summary import cap_lines, summary_rows

    page = write_report(run)
    failed = [record for record in summary.records.values() if record.status == "failed"]
    if as_json:
        terminal.show_json(
            {
                "run": str(run),
                "report": str(page),
                "trials": {record.fingerprint: record.status for record in summary.records.values()},
            }
        )
    else:
        rows = summary_rows(run)
        terminal.show_table(rows) if len(rows[0]) > 1 else print(rows[0][0])
        for line in cap_lines(run):
            print(f"\n{line}")
        _mention(failed, [record for record in summary.records.values() if record.status == "diverged"])
        print(f"\nreport: {page}")
    return 1 if failed else 0


def _mention(failed: list[TrialRecord], diverged: list[TrialRecord]) -> None:
    for record in diverged:
        print(f"diverged: {record.fingerprint} ({record.reason})")
    for record in failed:
        print(f"failed: {record.fingerprint} ({record.reason})", file=sys.stderr)
