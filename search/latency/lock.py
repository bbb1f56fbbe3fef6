"""One latency measurement at a time on one machine, whoever started it."""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)


def lock_path() -> Path:
    """The lock file; processes that see the same folder for temporary files exclude each other."""
    return Path(tempfile.gettempdir()) / "thinbert-latency.lock"


@contextlib.contextmanager
def measurement_lock(path: Path | None = None) -> Iterator[float]:
    """Hold the machine's measurement lock; yields the seconds spent waiting for it.

    Says in the log when it has to wait. The lock goes with the process: a killed one leaves none behind (the empty file
    stays and means nothing). Systems without fcntl (Windows) have no lock: the caller is trusted there.

    Args:
        path: `lock_path()` unless given.
    """
    try:
        import fcntl
    except ImportError:
        yield 0.0
        return
    path = path or lock_path()
    descriptor = _open(path)
    try:
        start = time.monotonic()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another latency measurement on this machine (lock %s)", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield time.monotonic() - start
    finally:
        os.close(descriptor)  # releases the lock


def _open(path: Path) -> int:
    """Open for reading only, which is enough: another user's file in a shared folder cannot be opened for writing."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
