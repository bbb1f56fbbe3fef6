"""Keeping freed memory, seen by the page faults it saves, in a process of its own."""

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys
import numpy as np
from search.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        blocks = [np.ones(125_000) for _ in range(40)]  # 40 times 1 MB
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has this setting")
def test_kept_memory_is_not_faulted_in_again() -> None:
    def count(mode: str) -> int:
        command = [sys.executable, "-c", COUNT_FAULTS, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert count("keep") < count("default") / 10  # with pages of 4 kB the default has about 100,000


def test_on_another_system_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from search.allocator import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
