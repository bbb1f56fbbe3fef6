"""The measuring sessions of a run's latency/, each as one number per encoder; knows nothing of arms or claims.

Read from the raw samples: the ratio of a session is the median over its rounds of the encoder's time over the
reference's in the same round, the time the median itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            problems.append(f"latency/{path.name}: holds no latency session; the same run again measures it anew")
        except OSError as error:
            problems.append(f"latency/{path.name}: cannot be read ({error.strerror})")
    return tuple(found), problems


def _medians(session: dict[str, Any] | None) -> Session | None:
    if session is None:
        return None
    reference = np.array(session["reference"]["forward_ns"], dtype=np.float64)
    found = {}
    for candidate in session["candidates"]:
        samples = np.array(candidate["series"]["forward_ns"], dtype=np.float64)
        ratio, time = float(np.median(samples / reference)), float(np.median(samples)) / 1e6
        found[str(candidate["name"])] = {"latency_ratio": ratio, "latency_ms": time}
    return found
