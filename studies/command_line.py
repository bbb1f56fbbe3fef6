"""The command `thinbert`: its verbs (`studies/verbs.py`) under one app, and how a failure becomes a line and a status.

Exit status: 0 done, 1 some trials failed, 2 bad input (one line on stderr says the rule, the value and the way out),
130 interrupted, 141 the reader of stdout is gone.
"""

import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from studies import verbs

app = App(
    name="thinbert",
    help="A laboratory for thin BERTs: search, ablate, measure, report.",
    version=lambda: importlib.metadata.version("thinbert"),
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


for verb, name in (
    (verbs.list_studies, "list"),
    (verbs.show, "show"),
    (verbs.run, "run"),
    (verbs.reproduce, "reproduce"),
    (verbs.report, "report"),
    (verbs.compare, "compare"),
    (verbs.export, "export"),
    (verbs.measure, "measure"),
    (verbs.list_runs, "runs"),
    (verbs.clean, "clean"),
):
    app.command(verb, name=name)


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
