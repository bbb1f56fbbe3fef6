"""`thinbert reproduce`: every study of the paper's tables, then the book of what was found.

Trials and teachers that studies share are trained once. The same command goes on where an earlier one stopped.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from search.data.prepare import prepare, read_report
from search.deployed_scores import check_scored
from search.execute import Options, Watcher
from search.predict import train_seconds
from search.run import run_study
from search.shared_trials import is_finished
from search.study import Scale
from search.worker import Home
from studies import terminal
from studies.catalogue import load_study
from studies.reproduction import PAPERS_STUDIES, Reproduction, check_time, reproduction, reproduction_rows
from studies.request import RunRequest
from studies.running import about_run, find_device, home_of, readable_disk_errors


def reproduce(
    scale: Scale,
    runs: Path,
    book: Path,
    *,
    workers: int,
    plan_only: bool = False,
    names: Sequence[str] = PAPERS_STUDIES,
) -> int:
    """Run the studies of some names and write the book. Returns the exit status: 1 where trials failed, else 0.

    Raises:
        ValueError: planning finds that it would take too long, or what can never end in a verdict.
        OSError: the disk is full, or a folder is not writable.
    """
    with readable_disk_errors():
        data = prepare(load_study(names[0]).sources(scale), runs / "data")
        planned = reproduction(scale, data, names)
        terminal.show_table(reproduction_rows(planned, workers))
        check_time(planned, workers)
        for part in planned.parts:
            check_scored(part.study)
        if plan_only:
            return 0
        failed = _run(planned, runs, workers)
    from reports.book import write_book

    folders = [home_of(runs, f"{part.study.name}-{scale}").run for part in planned.parts]
    print(f"\nthe book: {write_book(folders, book)}")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def _run(planned: Reproduction, runs: Path, workers: int) -> list[str]:
    """Every study under one display; a line for each trial that failed."""
    failed: list[str] = []
    device = find_device("auto")
    with terminal.Display(quiet=False, predicted_seconds=_left(planned, runs)) as display:
        watcher = Watcher(say=display.say, progress=display.progress)
        for part in planned.parts:
            name = part.study.name
            request = RunRequest(study=name, scale=planned.scale, runs=runs, workers=workers)
            home = home_of(runs, f"{name}-{planned.scale}")
            data = part.study.arms[0].spec.data
            display.say(f"{name}: {part.study.question}")
            if part is planned.parts[0]:
                for line in read_report(home.data, data).lines():
                    display.say(line)
            options = Options(workers=workers, device=device)
            summary = run_study(part.study, home, options, about_run(request, home, data), watcher)
            for record in summary.records.values():
                if record.status != "complete":
                    failed += [f"failed: {record.fingerprint} ({record.reason})"] * (record.status == "failed")
                    display.say(f"{name}: {record.status}: {record.fingerprint} ({record.reason})")
    return failed


def _left(planned: Reproduction, runs: Path) -> float:
    """Predicted core-seconds, each trial's alone, of those that no run under this root has finished; above 0, to divide
    by.
    """
    new = {mark: spec for part in planned.parts for mark, spec in part.new.items()}
    home = Home(run=runs / "none", data=runs / "data", teachers=runs / "teachers")
    return sum((train_seconds(spec) for mark, spec in new.items() if not is_finished(mark, home)), 1e-9)
