"""The measuring sessions of a run's latency/, each as one number per encoder; knows nothing of arms or claims.

Read from the raw samples: the ratio of a session is the median over its rounds of the encoder's time over the
reference's in the same round, the time the median itself.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from search.files import read_json

SESSION_UNITS = {"latency_ratio": "x reference", "latency_ms": "ms"}

Session = Mapping[str, Mapping[str, float]]
"""By the encoder's fingerprint: `latency_ratio` and `latency_ms`."""


def read_sessions(folder: Path) -> tuple[tuple[Session | None, ...], list[str]]:
    """Every session of a run in order, None for a refused one, and one line per file that could not be used."""
    found: list[Session | None] = []
    problems = []
    for path in [folder / "latency" / "generation-0000.json", *sorted((folder / "latency").glob("session-*.json"))]:
        if not path.exists():
            continue
        try:
            found.append(_medians(read_json(path).get("session")))
        except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
            problems.append(f"latency/{path.name}: holds no latency session; the same run again measures it anew")
        except OSError as error:
            problems.append(f"latency/{path.name}: cannot be read ({error.strerror})")
    return tuple(found), problems


def _medians(session: dict[str, Any] | None) -> Session | None:
    if session is None:
        return None
    reference = session["reference"]["forward_ns"]
    found = {}
    for candidate in session["candidates"]:
        samples = candidate["series"]["forward_ns"]
        ratio = median(time / base for time, base in zip(samples, reference, strict=True))
        found[str(candidate["name"])] = {"latency_ratio": ratio, "latency_ms": median(samples) / 1e6}
    return found
