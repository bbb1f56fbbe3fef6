"""The command `thinbert`. It parses, calls and prints; heavy libraries are imported inside the verbs that need them.

Exit status: 0 done, 1 some trials failed, 2 bad input (one line on stderr says the rule, the value and the way out),
130 interrupted, 141 the reader of stdout is gone.
"""

import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from studies import terminal
from studies.request import RunRequest

app = App(
    name="thinbert",
    help="A laboratory for thin BERTs: search, ablate, measure, report.",
    version=lambda: importlib.metadata.version("thinbert"),
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


def _whole(kind: type, tokens: Sequence[Any]) -> int:
    """A whole number; int(1.5) would be one too."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"must be a whole number, got {tokens[0].value!r}") from None


Whole = Annotated[int, Parameter(converter=_whole)]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document and nothing else.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()  # here, where a closed pipe is still caught
        return int(status or 0)
    except CycloptsError as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        return _refuse(f"{reason}; `thinbert --help` and `thinbert VERB --help` say what there is")
    except BrokenPipeError:
        return _closed_pipe()
    except (ValueError, OSError) as error:
        return _refuse(_one_line(error))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


def _closed_pipe() -> int:
    """The reader of stdout is gone (`| head`): end in silence, with the status of a process that SIGPIPE ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _refuse(reason: str) -> int:
    print(f"thinbert: {' '.join(reason.split())}", file=sys.stderr)
    return 2


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}; free some space or mend the path, then run the same command again"
    return str(error)


@app.command(name="list")
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


@app.command
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


@app.command
def run(
    study: str,
    *,
    scale: str = "cpu",
    runs: Path = Path("runs"),
    workers: Whole = 1,
    trials: Whole | None = None,
    corpus: str | None = None,
    vocabulary: str | None = None,
    teacher: Path | None = None,
    tasks: str | None = None,
    task_data: str | None = None,
    task_file: Annotated[list[str] | None, Parameter(negative="")] = None,
    first: Annotated[list[str] | None, Parameter(name="--try", negative="")] = None,
    device: str = "auto",
    accelerate: str = "",
    runtime: str | None = None,
    threads: Whole | None = None,
    max_latency_ms: float | None = None,
    replicas: int = 1,
    profile: Path | None = None,
    until_decided: Annotated[bool, Parameter(negative="")] = False,
    budget: str | None = None,
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
    trials
        Distinct configurations a search tries, instead of the scale's number.
    corpus
        Text to pre-train on: a file, a folder, or hub:OWNER/NAME; the built-in language where left out.
    vocabulary
        A vocab.txt in BERT's form; trained on the corpus where left out.
    teacher
        Folder of a Hugging Face BERT, pre-trained or fine-tuned, that teaches in place of one trained here.
    tasks
        Names of tasks between commas, such as sst2,cola.
    task_data
        Folder that holds a folder per task in GLUE's or SQuAD's form, or hub:OWNER/NAME.
    task_file
        A task of your own: name=sentiment,file=reviews.csv,text=review,label=stars,metric=accuracy (and text2=...).
    first
        A configuration to try first: bottleneck_size=24,num_heads=2,num_feed_forward=4.
    device
        auto, cpu or cuda.
    accelerate
        Names between commas. compile: one block compiled for all; graphs: that in CUDA graphs; bfloat16: products;
        prefetch: batches drawn ahead. All but prefetch change the last digits of results; trial files say what was on.
    runtime
        What latency is measured in, instead of the study's: eager, compile, folded, onnx, onnx-int8 or cuda-graph. With
        onnx-int8 accuracy is that of the int8 form too.
    threads
        That it is measured with, at most the cores there are.
    max_latency_ms
        A cap: the front holds what takes at most so many milliseconds, and the report says how surely.
    replicas
        Seeds of an arm that are trained as one computation. It changes the last digits of results; trial
        files say so. On two cores it was measured not to pay (benchmarks/replicas.py).
    profile
        A file of `thinbert measure --profile-space`: latency is predicted, and measured for the front at the end.
    until_decided
        Of a study with claims: look at 8, 12 and 16 seeds, each at a third of the level; stop when all are decided.
    budget
        What training may be predicted to take with --until-decided, such as 2h or 90min; no look is begun beyond it.
    """
    from studies.running import run_request

    command = RunRequest(
        study=study,
        scale=scale,
        runs=runs,
        workers=workers,
        trials=trials,
        corpus=corpus,
        vocabulary=vocabulary,
        teacher=teacher,
        tasks=tuple(tasks.split(",")) if tasks else (),
        task_data=task_data,
        task_files=tuple(task_file or ()),
        first=tuple(first or ()),
        device=device,
        accelerate=accelerate,
        runtime=runtime,
        threads=threads,
        max_latency_ms=max_latency_ms,
        replicas=replicas,
        profile=profile,
        until_decided=until_decided,
        budget=budget,
    )
    return run_request(command, as_json=as_json)


@app.command
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


@app.command
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


@app.command
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


@app.command
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


@app.command
def measure(
    *names: str,
    runtime: Annotated[list[str] | None, Parameter(negative="")] = None,
    batch: Whole = 1,
    length: Whole = 128,
    threads: Whole = 1,
    device: str = "cpu",
    rounds: Whole | None = None,
    seconds: float = 60.0,
    out: Path | None = None,
    profile_space: str | None = None,
    scale: str = "cpu",
    measured: Whole = 50,
    as_json: Json = False,
) -> int:
    """Latency of encoders beside the first one, in interleaved rounds with 95 % intervals; or a device's profile.

    Parameters
    ----------
    names
        Presets, config files (JSON) or trials (RUN:FINGERPRINT); ratios refer to the first.
    runtime
        eager, compile, folded, onnx, onnx-int8 or cuda-graph; several times for several.
    batch
        Sequences per forward pass.
    length
        Tokens per sequence.
    threads
        Of torch on the CPU.
    device
        cpu, cuda or cuda:1.
    rounds
        Exactly so many samples of each, instead of stopping when all intervals are at most 1 % wide.
    seconds
        The most one session may take.
    out
        Folder of records and figure; the profile's file with --profile-space.
    profile_space
        A search whose space is measured for `thinbert run --profile FILE`.
    scale
        Of that search.
    measured
        Configurations measured for the profile, at most 50.
    """
    from search.latency.protocol import Protocol, fixed_rounds
    from studies.measuring import MeasureRequest, measure_named, measure_profile

    protocol = Protocol(seconds=seconds) if rounds is None else fixed_rounds(rounds, control_width=0.1)
    request = MeasureRequest(
        names=names, runtimes=tuple(runtime or ("eager",)), device=device, batch=batch, length=length, threads=threads,
        protocol=protocol, out=out,
    )  # fmt: skip
    if profile_space is None:
        return measure_named(request, as_json=as_json)
    if names:
        raise ValueError(f"--profile-space measures a space, got the name {names[0]!r} too; leave one of them out")
    return measure_profile(request, profile_space, scale, measured, out or Path("profile.json"), as_json=as_json)


@app.command(name="runs")
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


@app.command
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
