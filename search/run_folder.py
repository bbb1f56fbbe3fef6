"""The run folder as a whole: whose it is, and that one driver at a time works in it."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search.aim import aim_of
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.race import race_fingerprint
from search.study import Ablation, Search
from search.values import to_json

SCHEMA = 1
FOLDERS = ("trials", "weights", "latency", "checkpoints")
GROUP_PREFIX = "replicas-"
"""Of the file name of a checkpoint of several trials; its first trial's fingerprint follows."""


def study_document(study: Search | Ablation, about: Mapping[str, Any]) -> dict[str, Any]:
    """What study.json says: the declaration, and `about` (command, data report, ...)."""
    capped = {"max_latency_ms": study.max_latency_ms} if isinstance(study, Search) else {}
    arms: dict[str, Any] = {}
    if isinstance(study, Ablation):
        arms = {
            "arms": [
                {"name": arm.name, "because": arm.because, "encoder": fingerprint(arm.spec.student)}
                for arm in study.arms
            ],
            "seeds": list(study.seeds),
            "smallest_effect": study.smallest_effect,
            "latency_sessions": study.latency_sessions,
        }
        if study.claims:
            arms |= {"claims": to_json(study.claims), "paper": to_json(study.paper)}
        if study.looks:
            arms["looks"] = list(study.looks)
        if study.race is not None:
            arms["race_fingerprint"] = race_fingerprint(study)
    return {
        "schema": SCHEMA,
        "study": study.name,
        "scale": study.scale,
        "kind": study.kind,
        "question": study.question,
        "baseline": to_json(study.baseline),
        "baseline_fingerprint": fingerprint(study.baseline),
        "objectives": list(aim_of(study).objectives),
        "scaling": to_json(study.scaling),
        "latency": to_json(study.latency),
        "profile": _profile(study),
        **capped,
        **arms,
        **about,
    }


@contextlib.contextmanager
def open_run(folder: Path, document: Mapping[str, Any]) -> Iterator[None]:
    """Make or check the run folder and hold its lock.

    Raises:
        ValueError: the folder is another run's (study, scale, recipe or data differ), or another process works in it.
    """
    check_run(folder, document)
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder):
        known = read_json(folder / "study.json") if (folder / "study.json").exists() else {}
        # First of all: a folder that has anything else but no study.json is not taken for a run.
        write_whole(folder / "study.json", json.dumps({**known, **document}, indent=1) + "\n")
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        for left_over in folder.rglob(".*.tmp"):  # of a process that was killed: we hold the lock
            left_over.unlink(missing_ok=True)
        yield


def check_run(folder: Path, document: Mapping[str, Any]) -> None:
    """Raises ValueError unless the folder is empty, absent, or this run's."""
    path = folder / "study.json"
    if not path.exists():
        if folder.exists() and any(not _is_beginning(entry.name) for entry in folder.iterdir()):
            raise ValueError(
                f"{folder.name} must be a run folder or empty, got a folder without study.json; use --runs"
            )
        return
    found = read_json(path)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError(f"{folder.name}/study.json must have schema {SCHEMA}, got another version; use --runs")
    names = [("study", "study"), ("scale", "scale"), ("race_fingerprint", "race, recipe or data")]
    if "race_fingerprint" not in document:  # a race changes the baseline's rate, and so its fingerprint
        names.append(("baseline_fingerprint", "recipe or data"))
    for name, what in names:
        if found.get(name) != document.get(name):
            if found.get("own_code", []) != document.get("own_code", []):
                what = f"{what} (code of one's own is not as it was)"
            raise ValueError(
                f"{folder.name} belongs to another run: its {what} is {found.get(name)}, asked for was "
                f"{document.get(name)}; choose another folder with --runs"
            )
    if found.get("claims") != document.get("claims"):
        raise ValueError(
            f"{folder.name} was begun with other claims: what is judged is fixed before the run; choose another folder "
            "with --runs"
        )
    _check_size(folder.name, found, document)
    if found.get("looks") != document.get("looks"):
        begun, asked = _looks(found.get("looks")), _looks(document.get("looks"))
        raise ValueError(
            f"{folder.name} was begun with {begun}, asked for was {asked}: "
            "when verdicts are looked at is fixed before the run; choose another folder with --runs"
        )
    if "latency" in found and _axis(found) != _axis(document):
        raise ValueError(
            f"{folder.name} was begun with latency {_axis(found)}, asked for was {_axis(document)}; choose another "
            "folder with --runs"
        )
    if found.get("profile") != document.get("profile"):
        raise ValueError(
            f"{folder.name} belongs to a run whose latency was {_said(found.get('profile'))}, asked for was "
            f"{_said(document.get('profile'))}; choose another folder with --runs"
        )


def _check_size(name: str, found: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """More seeds or sessions once verdicts are known would be another test than the one declared."""
    if not document.get("claims"):
        return
    for field, what in (("seeds", "seeds"), ("latency_sessions", "measuring sessions")):
        begun, asked = found.get(field), document.get(field)
        if begun != asked and found.get("looks") == document.get("looks"):
            raise ValueError(
                f"{name} was begun with {what} {begun}, asked for was {asked}: how much data the claims are judged by "
                "is fixed before the run; choose another folder with --runs, or declare looks with --until-decided"
            )


def _profile(study: Search | Ablation) -> str | None:
    if isinstance(study, Ablation) or study.profile is None:
        return None
    return fingerprint(study.profile.ratio)


def _axis(document: Mapping[str, Any]) -> str:
    """What a run's latencies are, as far as a user may choose it."""
    case, cap = document.get("latency") or {}, document.get("max_latency_ms")
    threads = f"{case.get('threads')} thread{'' if case.get('threads') == 1 else 's'}"
    return f"in {case.get('runtime')} with {threads}, {'without a cap' if cap is None else f'at most {cap} ms'}"


def _looks(looks: list[int] | None) -> str:
    return f"looks at {', '.join(map(str, looks))} seeds" if looks else "one look at all seeds"


def _said(profile: str | None) -> str:
    return "measured" if profile is None else f"predicted by profile {profile}"


def _is_beginning(name: str) -> bool:
    """Whether a file is all that a run killed in its first moment leaves behind."""
    return name == ".lock" or (name.startswith(".study.json.") and name.endswith(".tmp"))


def update_study(folder: Path, **about: Any) -> None:
    """Add to study.json."""
    path = folder / "study.json"
    write_whole(path, json.dumps({**read_json(path), **about}, indent=1) + "\n")


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows has no flock: the user is trusted there
        yield
        return
    with open(folder / ".lock", "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"{folder.name} is in use by another process; wait for it or choose --runs") from None
        yield
