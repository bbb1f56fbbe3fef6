"""The state of a process while it measures: thread count, garbage collection, the core of the thread that measures."""

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import torch


@contextlib.contextmanager
def quiet(threads: int) -> Iterator[None]:
    """Run with `threads` torch threads and without garbage collection, then as before."""
    threads_before, collected_before = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        if collected_before:
            gc.enable()


@contextlib.contextmanager
def pinned(wanted: bool) -> Iterator[int | None]:
    """Keep the calling thread on the core that it is on, then let it go where it could before.

    The scheduler has put it there: on processors with fast and slow cores a fixed one could be slow. Yields the core;
    None where it is not wanted, or the system cannot do it (macOS, Windows).
    """
    core = _current_core() if wanted else None
    if core is None:
        yield None
        return
    before = os.sched_getaffinity(0)  # of the calling thread
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)


def _current_core() -> int | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        after_name = Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(after_name[36])  # field 39, `processor`, of proc_pid_stat(5); field 3 is the first after the name
