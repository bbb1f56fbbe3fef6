"""The verbs of `thinbert`: each reads its options, calls what does the work, and prints. Returns the exit status.

Heavy libraries are imported inside the verbs that need them. The docstrings are what `thinbert VERB --help` shows.
"""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from studies import terminal
from studies.options import (
    CaseOptions,
    DataOptions,
    Json,
    LatencyOptions,
    LookOptions,
    ProfileOptions,
    SearchOptions,
    SessionOptions,
    TrainingOptions,
    Whole,
    asked,
)
from studies.request import RunRequest


def list_studies(study_file: str | None = None, *, as_json: Json = False) -> int:
    """The studies that ship, one line each, and one of your own.

    Parameters
    ----------
    study_file
        A Python file that declares a STUDY; it is run.
    """
    from studies.catalogue import all_studies, load_study

    if study_file is not None and not study_file.endswith(".py"):
        raise ValueError(f"`thinbert list` takes a Python file, got {study_file!r}; `thinbert show` takes a name")
    found = [*all_studies(), *([] if study_file is None else [load_study(study_file)])]
    rows = [{"name": study.name, "question": study.question} for study in found]
    terminal.show_json(rows) if as_json else terminal.show_rows([(row["name"], row["question"]) for row in rows])
    return 0


def show(
    study: str,
    *,
    scale: str = "cpu",
    runs: Path = Path("runs"),
    teacher: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Arms or space, trials, parameters and FLOPs, predicted time, memory and disk of a study; trains nothing.

    Parameters
    ----------
    study
        A name that `thinbert list` shows, or a Python file that declares a STUDY of your own (it is run).
    scale
        smoke, cpu, gpu or paper.
    runs
        Folder of the runs, where the data may have been identified before.
    teacher
        Folder of a Hugging Face BERT: which objectives it could teach this study's students, and why not the others.
    dry_run
        With --scale paper: build every model without memory for its weights, and step every kind of stage at a batch
        of 1, the memory held beside the memory planned.
    """
    from studies.overview import overview, overview_lines

    if dry_run and scale != "paper":
        raise ValueError(f"--dry-run is for --scale paper, got {scale}; `thinbert run` runs the other scales")
    found = overview(study, scale, runs, teacher)
    if dry_run:
        from studies.overview import try_paper_scale

        found["dry_run"] = try_paper_scale(study, runs)
    terminal.show_json(found) if as_json else terminal.show_lines(overview_lines(found))
    return 0


def run(
    study: str,
    *,
    scale: str = "cpu",
    runs: Path = Path("runs"),
    workers: Whole = 1,
    data: DataOptions = DataOptions(),
    search: SearchOptions = SearchOptions(),
    latency: LatencyOptions = LatencyOptions(),
    training: TrainingOptions = TrainingOptions(),
    looks: LookOptions = LookOptions(),
    as_json: Json = False,
) -> int:
    """Run a study, or go on with it: finished trials are never repeated. Ends with the front and the report's path.

    Parameters
    ----------
    study
        A name that `thinbert list` shows, or a Python file that declares a STUDY of your own (it is run).
    scale
        smoke (minutes), cpu, gpu or paper.
    runs
        Folder of the runs; this one is written to RUNS/STUDY-SCALE.
    workers
        Trials trained side by side, one processor core each.
    """
    from studies.running import run_request

    given = asked(data, search, latency, training, looks)
    given["tasks"] = tuple(data.tasks.split(",")) if data.tasks else ()
    return run_request(RunRequest(study=study, scale=scale, runs=runs, workers=workers, **given), as_json=as_json)


def reproduce(
    *,
    scale: str = "cpu",
    runs: Path = Path("runs"),
    book: Path = Path("book"),
    workers: Whole = 1,
    plan: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run the studies of all the paper's tables, or go on with them, and write their reports. Shared trials are
    trained once.

    Parameters
    ----------
    scale
        smoke, cpu, gpu or paper; refused where training is predicted to take more than two hours.
    runs
        Folder of the runs.
    book
        Where the reports go.
    workers
        Trials trained at a time, one core each.
    plan
        Say what would be trained and how long it would take, and stop.
    """
    from studies.catalogue import check_scale
    from studies.reproduce import reproduce as reproduce_all

    if workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    return reproduce_all(check_scale(scale), runs, book, workers=workers, plan_only=plan)


def report(run_folder: Path, *more: Path, out: Path | None = None, as_json: Json = False) -> int:
    """Write the report of a run: one self-contained page, figures as PNG, tables as CSV and JSON. Of several runs
    (runs/*): the book, a first page with all claims, a page per study, and the methods.

    Parameters
    ----------
    run_folder
        A folder that `thinbert run` wrote.
    more
        Further ones.
    out
        Where the report goes; the run folder itself where left out, the folder book for several runs.
    """
    if more:
        from reports.book import write_book

        page = write_book([run_folder, *more], out or Path("book"))
    else:
        if not (run_folder / "study.json").exists():
            raise ValueError(f"RUN must be a folder that `thinbert run` wrote (with a study.json), got {run_folder}")
        from reports.page import write_report

        page = write_report(run_folder, out)
    terminal.show_json({"report": str(page)}) if as_json else print(page)
    return 0


def compare(
    *names: str,
    length: Whole = 128,
    cap: str | None = None,
    out: Path | None = None,
    as_json: Json = False,
) -> int:
    """Presets, config files, Hugging Face folders, trials, arms or runs side by side: what changed, what it costs, and
    what the trials say of each against the first, inside seeds, with intervals.

    Parameters
    ----------
    names
        Presets (mobilebert), a JSON file, a folder with a config.json, RUN:FINGERPRINT, RUN:ARM (all its seeds), or
        RUN: a search stands for the point to decide on, ablations are matched arm by arm.
    length
        Tokens of the sequence for which FLOPs are counted.
    cap
        A latency such as 20ms, 0.5s or 20 (milliseconds): say which item to take under it, and how sure that is.
    out
        Write a one-page recommendation (HTML) there.
    """
    from studies.comparing import compare_named

    return compare_named(names, length=length, cap=cap, out=out, as_json=as_json)


def export(
    name: str,
    *,
    to: str,
    out: Path,
    int8: Annotated[bool, Parameter(negative="")] = False,
    task: Annotated[list[str] | None, Parameter(negative="")] = None,
    as_json: Json = False,
) -> int:
    """Write a trained trial or a preset for deployment: a folder for transformers, or ONNX files that are scored.

    Parameters
    ----------
    name
        RUN:FINGERPRINT (the first digits are enough) of a complete trial, or a preset (random weights).
    to
        huggingface: config.json and model.safetensors, for transformers.AutoModel; onnx: a folder for every task.
    out
        A new folder.
    int8
        With ONNX: the dynamic and the static int8 form too, each scored on test beside float32.
    task
        With ONNX: only this task (may be given several times).
    """
    from studies.exporting import export_named, export_rows

    found = export_named(name, out, to=to, int8=int8, tasks=tuple(task or ()))
    if as_json:
        terminal.show_json(found)
        return 0
    if found["scores"]:
        terminal.show_table(export_rows(found))
    print(found["folder"])
    return 0


def measure(
    *names: str,
    case: CaseOptions = CaseOptions(),
    session: SessionOptions = SessionOptions(),
    profile: ProfileOptions = ProfileOptions(),
    out: Path | None = None,
    as_json: Json = False,
) -> int:
    """Latency of encoders beside the first one, in interleaved rounds with 95 % intervals; or a device's profile.

    Parameters
    ----------
    names
        Presets, config files (JSON) or trials (RUN:FINGERPRINT); ratios refer to the first.
    out
        Folder of records and figure; the profile's file with --profile-space.
    """
    from search.latency.protocol import Protocol, fixed_rounds
    from studies.measuring import MeasureRequest, measure_named, measure_profile

    seconds, rounds = session.seconds, session.rounds
    protocol = Protocol(seconds=seconds) if rounds is None else fixed_rounds(rounds, control_width=0.1)
    request = MeasureRequest(names=names, protocol=protocol, out=out, **asked(case))
    space = profile.profile_space
    if space is None:
        return measure_named(request, as_json=as_json)
    if names:
        raise ValueError(f"--profile-space measures a space, got the name {names[0]!r} too; leave one of them out")
    return measure_profile(
        request, space, profile.scale, profile.measured, out or Path("profile.json"), as_json=as_json
    )


def list_runs(folder: Path = Path("runs"), *, as_json: Json = False) -> int:
    """The run folders under a folder: size, status, age.

    Parameters
    ----------
    folder
        Where the runs are.
    """
    from studies.housekeeping import describe_runs

    rows = describe_runs(folder)
    if as_json:
        terminal.show_json(rows)
    else:
        terminal.show_table([("run", "status", "trials", "size", "last change"), *(_run_row(row) for row in rows)])
    return 0


def clean(run_folder: Path, *, dry_run: bool = False, as_json: Json = False) -> int:
    """Remove what a run can spare: never records; the weights of front, baseline and teacher stay.

    Parameters
    ----------
    run_folder
        A folder that `thinbert run` wrote.
    dry_run
        Only say what would go.
    """
    from studies.housekeeping import clean_run

    found = clean_run(run_folder, dry_run=dry_run)
    if as_json:
        terminal.show_json(found)
        return 0
    verb = "would remove" if dry_run else "removed"
    for name in found["removed"]:
        print(f"{verb} {name}")
    print(f"{verb} {len(found['removed'])} files, {terminal.size_text(found['bytes'])}")
    return 0


def _run_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["name"], row["status"], str(row["trials"]), terminal.size_text(row["bytes"]), row["age"])
