"""A second process that makes calls while this one goes on; knows nothing of figures or runs.

A fresh interpreter that reads calls from one pipe and writes results to another: it needs no fork (safe beside threads,
in a notebook, on macOS) and never imports the caller's main module. What it does not give back, because it is not
there, died, or the call raised or warned, is called here instead: errors and warnings are those of a plain call, and
nothing but time depends on the helper. It ends with its caller, whose end of the pipe it reads; Ctrl-C is its caller's.
"""

import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import IO, Any, Generic, TypeVar

from search.machine import cores

T = TypeVar("T")

_START = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import pickle, sys; "
    "sys.path[:], modules = pickle.load(sys.stdin.buffer); from reports.helper import serve; serve(modules)"
)
_OWN_TO_WARN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings that Python does not show where nobody asks for them."""


class Call(Generic[T]):
    """One call that was asked for; made by whoever comes first, the helper or the caller that needs its result."""

    def __init__(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.finished = threading.Event()
        self._results: list[T] = []

    def take_over(self, result: T) -> None:
        """Keep what the helper gave back."""
        self._results.append(result)

    def make(self) -> T:
        """The result; the call is made here where there is none yet. Raises what the function raises."""
        if not self._results:
            self._results.append(self.function(*self.arguments))
        return self._results[0]


class Helper:
    """Calls that wait, and the process that takes them in their order; without a process they wait for `result`."""

    def __init__(self, process: "subprocess.Popen[bytes] | None" = None, modules: tuple[str, ...] = ()) -> None:
        self._waiting: SimpleQueue[Call[Any] | None] = SimpleQueue()
        self._process = process
        self._feeder = threading.Thread(target=self._feed, args=(process, modules), name="helper", daemon=True)
        if process is not None:
            self._feeder.start()

    def ask(self, function: Callable[..., T], *arguments: Any) -> Call[T]:
        """Have a call made, by the helper or in `result`.

        Args:
            function: one that a module has by its name, and whose result depends on its arguments alone.
            arguments: values that can be pickled, like the result.
        """
        call = Call(function, arguments)
        if self._process is not None:
            self._waiting.put(call)
        return call

    def result(self, call: Call[T]) -> T:
        """The result of a call, helping with whatever waits until it is there. Raises what the function raises."""
        while self._process is not None and not call.finished.is_set():
            try:
                other = self._waiting.get_nowait()
            except Empty:
                call.finished.wait()
                break
            if other is not None:
                try:
                    other.make()
                finally:
                    other.finished.set()
        return call.make()

    def close(self) -> None:
        """End the process; what still waits is made in `result`."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        self._waiting.put(None)
        self._feeder.join()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                assert stream is not None
                stream.close()
        process.wait()

    def _feed(self, process: "subprocess.Popen[bytes]", modules: tuple[str, ...]) -> None:
        """In a thread of its own: it only waits and copies, so that nothing is drawn beside the main thread."""
        assert process.stdin is not None and process.stdout is not None
        alive = _sent(process.stdin, ([str(path) for path in sys.path], modules))
        while (call := self._waiting.get()) is not None:
            try:
                if alive:
                    alive = self._have_made(call, process.stdin, process.stdout)
            finally:
                call.finished.set()

    @staticmethod
    def _have_made(call: Call[Any], to: IO[bytes], back: IO[bytes]) -> bool:
        """Whether the helper is still there: a call that it could not make is left for its caller to make."""
        try:
            message = pickle.dumps((call.function, call.arguments))
        except Exception:  # whatever a value's own pickling raises: the caller makes the call itself
            return True
        if not _sent(to, message):
            return False
        try:
            message = pickle.load(back)
            if message:
                call.take_over(*pickle.loads(message))
        except (
            Exception
        ):  # the pipe has ended, or holds what cannot be read: an error here would leave its caller waiting
            return False
        return True


@contextmanager
def helping(wanted: bool, *modules: str) -> Iterator[Helper]:
    """A helper for what is done inside, with a process of its own where that is wanted and there is a core for it.

    Args:
        modules: what the calls will need, imported by the process at once.
    """
    helper = Helper(_started() if wanted and cores() > 1 else None, modules)
    try:
        yield helper
    finally:
        helper.close()


def _started() -> "subprocess.Popen[bytes] | None":
    """None where this interpreter cannot be started once more."""
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    command = [sys.executable, "-P", "-c", _START]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError:
        return None


def _sent(stream: IO[bytes], value: Any) -> bool:
    try:
        pickle.dump(value, stream)
        stream.flush()
    except (OSError, ValueError):  # it is gone, or the pipe was closed
        return False
    return True


def serve(modules: tuple[str, ...]) -> None:
    """What the process does until its caller's end of the pipe is closed: one call after another.

    What a call prints goes to standard error, never between the results.

    Args:
        modules: imported before the first call comes.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as back:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        with warnings.catch_warnings(), suppress(Exception):  # whoever makes the call meets what an import says
            warnings.simplefilter("ignore")
            for module in modules:
                import_module(module)
        warnings.simplefilter("error")
        for kind in _OWN_TO_WARN:
            warnings.simplefilter("ignore", kind)
        while True:
            try:
                message = pickle.load(sys.stdin.buffer)
            except (EOFError, pickle.UnpicklingError):  # the caller is gone, in the middle of a call perhaps
                return
            if not _sent(back, _made(message)):
                os._exit(1)  # the caller is gone; closing the pipe would only fail once more


def _made(message: bytes) -> bytes:
    """The result as it is sent; empty where there is none: the caller makes the call and meets the error itself."""
    try:
        function, arguments = pickle.loads(message)
        return pickle.dumps((function(*arguments),))
    except Exception:
        return b""
