"""How long the page of a run of 2,000 trials takes, and how much memory; then where the time goes.

    python -m benchmarks.report
    python -m benchmarks.report --trials 96 --no-profile

Three runs are made up (`benchmarks/made_runs.py`): a search, an ablation of many arms and one of many seeds, both with
claims. Each page is written by a process of its own, which starts a second one for figures where it has two cores
(`reports/helper.py`). The seconds are of the whole process, start included. The memory is the sum of the highest
resident sizes of both, though these need not coincide and count the libraries that both have mapped twice: what is used
at once is less. The limit is for that sum. The profile is of one more process, which is slower and draws its figures
itself.
"""

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import header, machine
from benchmarks.made_runs import make_ablation, make_search

LIMIT_SECONDS = 10.0
LIMIT_BYTES = 2**30
NUM_SEEDS = 16
NUM_MANY_SEEDS = 100
TOP = 25
"""Functions that a profile lists."""


def runs(num_trials: int) -> dict[str, Callable[[Path], None]]:
    """What is measured: a name and what writes the run folder. Seeds are fewer where there are few trials."""
    few, many = (min(seeds, max(1, num_trials // 4)) for seeds in (NUM_SEEDS, NUM_MANY_SEEDS))
    return {
        "search": lambda folder: make_search(folder, num_trials),
        f"ablation, {num_trials // few} arms": lambda folder: make_ablation(folder, num_trials // few * few, few),
        f"ablation, {many} seeds": lambda folder: make_ablation(folder, num_trials // many * many, many),
    }


def measure(num_trials: int, *, profiled: bool) -> list[dict[str, Any]]:
    """One row per run: trials, seconds and bytes of its report, and the profile."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for number, (name, make) in enumerate(runs(num_trials).items()):
            folder = Path(place) / f"run{number}-cpu"
            make(folder)
            rows.append(_row(name, folder, profiled=profiled))
    return rows


def _row(name: str, folder: Path, *, profiled: bool) -> dict[str, Any]:
    found = _child(folder, "--render")
    seconds, peak = found["seconds"], found["peak_bytes"]
    return {
        "run": name,
        "trials": len(list((folder / "trials").glob("*.json"))),
        "run_bytes": sum(path.stat().st_size for path in folder.rglob("*.json")),
        "page_bytes": (folder / "index.html").stat().st_size,
        "seconds": seconds,
        "report_seconds": found["report_seconds"],
        "peak_bytes": peak,
        "helper_peak_bytes": found["helper_peak_bytes"],
        "within_limits": seconds <= LIMIT_SECONDS and peak <= LIMIT_BYTES,
        "profile": _child(folder, "--profile")["profile"] if profiled else "",
    }


def _child(folder: Path, how: str) -> dict[str, Any]:
    """The report in a process of its own, with the seconds that the whole process took."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.report", how, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "seconds": time.perf_counter() - start}


def _render(folder: Path) -> None:
    start = time.perf_counter()
    from reports.page import write_report

    write_report(folder)
    seconds = time.perf_counter() - start
    # Of the children that have ended the largest: a report has one at most.
    own, helper = (_peak_bytes(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"report_seconds": seconds, "peak_bytes": own + helper, "helper_peak_bytes": helper}))


def _peak_bytes(who: int) -> int:
    """Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _profile(folder: Path) -> None:
    from reports.helper import Helper
    from reports.page import write_page
    from reports.reading import read_run

    watched = cProfile.Profile()
    watched.runcall(lambda: write_page(read_run(folder), folder, Helper()))
    found = pstats.Stats(watched).get_stats_profile().func_profiles
    listed = sorted(found.items(), key=lambda item: -item[1].cumtime)[:TOP]
    lines = [
        f"{one.cumtime:8.2f} s  {one.tottime:7.2f} s  {one.ncalls:>12}  {_where(name, one)}" for name, one in listed
    ]
    print(json.dumps({"profile": "\n".join([f"{'in all':>10}  {'itself':>9}  {'calls':>12}", *lines])}))


def _where(name: str, one: Any) -> str:
    file = Path(one.file_name)
    return f"{file.parent.name}/{file.name}:{one.line_number} {name}" if file.suffix == ".py" else name


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    sizes = f"{'trials':>6} {'files':>8} {'page':>8}"
    lines = [f"{'run':24} {sizes} {'seconds':>8} {'of which report':>15} {'peak':>9} {'of helper':>9}"]
    for row in rows:
        sizes = [f"{row[key] / 2**20:6.1f} M" for key in ("run_bytes", "page_bytes")]
        verdict = "ok" if row["within_limits"] else "OVER"
        lines.append(
            f"{row['run']:24} {row['trials']:6d} {' '.join(sizes)} {row['seconds']:8.2f} {row['report_seconds']:15.2f} "
            f"{row['peak_bytes'] / 2**20:7.0f} M {row['helper_peak_bytes'] / 2**20:7.0f} M  {verdict}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--trials", type=int, default=2000, help="trials of each run (default 2000, at least 8)")
    parser.add_argument("--no-profile", action="store_true", help="leave the profiles out")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--render", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--profile", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.render or options.profile:
        _render(options.render) if options.render else _profile(options.profile)
        return 0
    if options.trials < 8:
        parser.error(f"--trials must be at least 8, got {options.trials}")
    before, rows = machine(), measure(options.trials, profiled=not options.no_profile)
    if options.json:
        limits = {"seconds": LIMIT_SECONDS, "bytes": LIMIT_BYTES}
        print(json.dumps({"machine": before, "limits": limits, "runs": rows}, indent=1))
    else:
        print(f"{header(before)}\nlimits: {LIMIT_SECONDS:g} s and {LIMIT_BYTES // 2**20} M\n\n{table(rows)}")
        for row in rows if not options.no_profile else ():
            print(f"\n{row['run']}: where the time goes, under the profiler\n{row['profile']}")
    return 0 if all(row["within_limits"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
