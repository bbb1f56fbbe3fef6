"""The state of a process while it measures: thread count and garbage collection."""

import contextlib
import gc
from collections.abc import Iterator

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
