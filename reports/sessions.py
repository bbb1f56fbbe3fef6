"""The latency sessions that a run folder keeps: the one reader of RUN/latency/, for pages and for `compare`.

Files of three kinds hold one: a generation's (an ablation's first is the first of its measuring sessions), the further
measuring sessions', and that of the session at the end of a search. Knows nothing of arms or claims.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from reports.loading import DAMAGED, load, newer_schema

SESSION_UNITS = {"latency_ratio": "x reference", "latency_ms": "ms"}
FIRST_BLOCK, AT_THE_END = "generation-0000.json", "front.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The raw samples of one session that was kept."""

    reference: tuple[float, ...]
    """Nanoseconds per forward pass, one per round."""
    samples: Mapping[str, tuple[float, ...]]
    """The same by the encoder's fingerprint."""
    case: Mapping[str, Any]
    """Runtime, device, threads, batch, length; empty where not recorded."""
    conditions: Mapping[str, Any]
    """Machine and versions; empty where not recorded."""

    def medians(self) -> Mapping[str, Mapping[str, float]]:
        """By the encoder's fingerprint its `latency_ratio`, the median over the rounds of its time over the reference's
        in the same round, and its `latency_ms`, the median itself.
        """
        return {
            encoder: {
                "latency_ratio": median(time / base for time, base in zip(samples, self.reference, strict=True)),
                "latency_ms": median(samples) / 1e6,
            }
            for encoder, samples in self.samples.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """What could be read of RUN/latency/."""

    kept: tuple[Session, ...] = ()
    """Every session that was kept: of generations, then further measuring sessions, then that at the end."""
    num_refused: int = 0
    """Sessions of which every attempt was refused."""
    blocks: tuple[Mapping[str, Mapping[str, float]] | None, ...] = ()
    """The medians of each measuring session in order, which claims pair by; None for one without a session."""
    problems: tuple[str, ...] = ()
    """One line for each file that could not be used, and why."""


def read_sessions(folder: Path) -> Sessions:
    """Every latency session of a run folder; one without any has none."""
    kept, blocks, problems, num_refused = [], [], [], 0
    for path in _paths(folder / "latency"):
        try:
            session, refused = _read(path)
        except ValueError as error:
            problems.append(f"latency/{path.name}: {error}")
            continue
        num_refused += refused
        if session is not None:
            kept.append(session)
        if path.name == FIRST_BLOCK or path.name.startswith("session-"):
            blocks.append(None if session is None else session.medians())
    return Sessions(kept=tuple(kept), num_refused=num_refused, blocks=tuple(blocks), problems=tuple(problems))


def _paths(latency: Path) -> list[Path]:
    return [path for form in ("generation-*.json", "session-*.json", AT_THE_END) for path in sorted(latency.glob(form))]


def _read(path: Path) -> tuple[Session | None, bool]:
    """The session of a file, None where it has none, and whether that is because every attempt was refused.

    Raises:
        ValueError: why the file cannot be used, as the end of a sentence about it.
    """
    content, problem = load(path)
    problem = problem or newer_schema(content, "latency session")
    way_out = (
        "; the trials keep what it measured" if path.name == AT_THE_END else "; the same run again measures it anew"
    )
    if problem:
        raise ValueError(problem + (way_out if problem == DAMAGED else ""))
    try:
        found = content if path.name == AT_THE_END else content["session"]
        if found is None:
            # A generation whose encoders had all been measured has no session either; its file tells of no attempt.
            return None, bool(content.get("refused", True))
        return _session(found), False
    except KeyError as error:
        raise ValueError(f"holds no latency session ({error} is missing){way_out}") from error
    except (TypeError, AttributeError, OverflowError):
        raise ValueError(f"holds no latency session (something is not of its form){way_out}") from None
    except ValueError as error:
        raise ValueError(f"holds no latency session ({error}){way_out}") from error


def _session(content: dict[str, Any]) -> Session:
    reference = tuple(float(sample) for sample in content["reference"]["forward_ns"])
    samples = {str(one["name"]): tuple(map(float, one["series"]["forward_ns"])) for one in content["candidates"]}
    if not reference or any(len(series) != len(reference) for series in samples.values()):
        raise ValueError("every series needs a sample per round")
    if not all(0 < sample < math.inf for series in (reference, *samples.values()) for sample in series):
        raise ValueError("samples must be above 0 and finite")
    return Session(
        reference=reference,
        samples=samples,
        case=dict(content.get("case") or {}),
        conditions=dict(content.get("conditions") or {}),
    )
