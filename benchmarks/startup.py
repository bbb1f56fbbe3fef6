"""How long the command line takes to answer, and whether it imports anything heavy to do so.

Run as `python -m benchmarks.startup`. The floor is an interpreter that does nothing. Times are of whole processes, on
whatever load the machine has.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import header, machine

LIMIT_SECONDS = 0.6
HEAVY = ("torch", "pandas", "optuna", "scipy", "seaborn")
COMMANDS = (
    ("--help",),
    ("list",),
    ("show", "student-search", "--scale", "cpu"),
    ("compare", "mobilebert", "bert-base"),
)


def measure(repeats: int) -> list[dict[str, Any]]:
    """One row per command, the floor first. Raises ValueError where the command is not installed or fails."""
    script = str(command_path())
    cases = [("python -c pass", [sys.executable, "-c", "pass"])]
    cases += [(f"thinbert {' '.join(words)}", [sys.executable, script, *words]) for words in COMMANDS]
    for name, command in cases:
        _check_runs(name, command)
    seconds: dict[str, list[float]] = {name: [] for name, _ in cases}
    for _ in range(repeats):  # interleaved, so that a busy spell falls on all
        for name, command in cases:
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - start)
    return [_row(name, command, seconds[name]) for name, command in cases]


def command_path() -> Path:
    """The `thinbert` script of this interpreter's environment. Raises ValueError where there is none."""
    path = Path(sys.executable).with_name("thinbert")
    if not path.exists():
        raise ValueError("the command thinbert must be installed beside this python, found none; run pip install -e .")
    return path


def heavy_imports(command: Sequence[str]) -> list[str]:
    """Those of HEAVY that a python command line imports, from the interpreter's own list (-X importtime).

    Args:
        command: the interpreter, then its arguments.
    """
    traced = [command[0], "-X", "importtime", *command[1:]]
    listing = subprocess.run(traced, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True).stderr
    imported = {match[1] for match in re.finditer(r"^import time:.*\|\s*([\w.]+)\s*$", listing, re.MULTILINE)}
    return [name for name in HEAVY if name in imported]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [f"{'command':46} {'median':>8} {'min':>8} {'max':>8}  {'limit':>6}  heavy imports"]
    for row in rows:
        times = " ".join(f"{row[key]:7.3f}s" for key in ("median_seconds", "min_seconds", "max_seconds"))
        limit = "-" if row["within_limit"] is None else ("ok" if row["within_limit"] else "OVER")
        lines.append(f"{row['name']:46} {times}  {limit:>6}  {', '.join(row['heavy_imports']) or 'none'}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 2 where it could not measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--repeats", type=int, default=9, help="runs of each command (default 9)")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {options.repeats}")
    try:
        before, rows = machine(), measure(options.repeats)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        document = {"machine": before, "repeats": options.repeats, "limit_seconds": LIMIT_SECONDS, "commands": rows}
        print(json.dumps(document, indent=1))
    else:
        print(f"{header(before)}\n{options.repeats} runs each, limit {LIMIT_SECONDS} s\n\n{table(rows)}")
    return 0


def _check_runs(name: str, command: Sequence[str]) -> None:
    """Once before the timing, which also fills the caches for compiled files."""
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{name} must succeed to be timed, got exit status {result.returncode}: {last}")


def _row(name: str, command: Sequence[str], seconds: Sequence[float]) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "name": name,
        "median_seconds": median,
        "min_seconds": min(seconds),
        "max_seconds": max(seconds),
        "within_limit": None if name.startswith("python") else median <= LIMIT_SECONDS,
        "heavy_imports": heavy_imports(command),
    }


if __name__ == "__main__":
    sys.exit(main())
