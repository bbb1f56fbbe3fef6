"""What the terminal shows: tables, JSON, and the progress of long work (bars on a terminal, plain lines elsewhere)."""

import json
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any


def show_json(document: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(document, indent=1))


def show_lines(lines: Iterable[str]) -> None:
    """Plain lines."""
    for line in lines:
        print(line)


def show_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """A table whose first row is its head and whose first column is left-aligned, as wide as its texts."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [
            f"{cell:<{width}}" if column == 0 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def size_text(num_bytes: float) -> str:
    """A size for people: decimal units, three digits.

    >>> size_text(1_234_000)
    '1.23 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000 or unit == "GB":
            return f"{num_bytes:.3g} {unit}" if num_bytes < 1000 else f"{num_bytes:,.0f} {unit}"
        num_bytes /= 1000
    raise AssertionError("unreachable")


def time_text(seconds: float) -> str:
    """A duration for people.

    >>> time_text(75), time_text(5000)
    ('1 min 15 s', '1 h 23 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


class Display:
    """Progress of a run in predicted core-seconds; its methods are called from any thread."""

    def __init__(self, *, quiet: bool, predicted_seconds: float) -> None:
        self._stream = sys.stderr
        self._bar: Any = None
        self._lock = threading.Lock()
        self._done: dict[str, float] = {}
        self._total, self._started, self._last_line = predicted_seconds, time.monotonic(), time.monotonic()
        self._quiet = quiet
        self._live = not quiet and self._stream.isatty()

    def __enter__(self) -> "Display":
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(file=self._stream), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("training", total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """A line for people."""
        if self._quiet:
            return
        with self._lock:
            if self._bar is not None:
                self._bar.console.print(text, highlight=False, markup=False)
            else:
                print(text, file=self._stream, flush=True)

    def progress(self, fingerprint: str, stage: str, seconds: float) -> None:
        """A trial has done work predicted to take so many seconds (`latency` stands for the measuring session)."""
        if self._quiet:
            return
        with self._lock:
            self._done[fingerprint] = seconds
            done = min(sum(self._done.values()), self._total)
            if self._bar is not None:
                self._bar.update(self._task, completed=done, description=f"{fingerprint[:8]} {stage}")
            elif time.monotonic() - self._last_line > 10:
                self._last_line = time.monotonic()
                print(self._line(fingerprint, stage, done), file=self._stream, flush=True)

    def _line(self, fingerprint: str, stage: str, done: float) -> str:
        spent = time.monotonic() - self._started
        left = f", about {time_text(spent / done * (self._total - done))} left" if done else ""
        return f"{done / self._total:4.0%} of the work{left}; {fingerprint[:8]} is in {stage}"
