"""The run folders on disk: what they are, and what may go."""

import time
from pathlib import Path
from typing import Any

from reports.keep import kept_weights
from search.files import read_json
from search.record import read_records
from search.run_folder import GROUP_PREFIX
from studies.terminal import time_text


def describe_runs(folder: Path) -> list[dict[str, Any]]:
    """One row per run folder: name, study, scale, status, trials, bytes, age. Raises ValueError for no folder."""
    if not folder.is_dir():
        raise ValueError(f"a folder of runs must exist, got {folder}")
    return [_describe(path.parent) for path in sorted(folder.glob("*/study.json"))]


def _describe(run: Path) -> dict[str, Any]:
    try:
        study = read_json(run / "study.json")
    except ValueError as error:
        study = {"study": str(error)}
    trials = list((run / "trials").glob("*.json"))
    files = [path for path in run.rglob("*") if path.is_file()]
    newest = max((path.stat().st_mtime for path in files), default=0.0)
    return {
        "name": run.name,
        "study": study.get("study"),
        "scale": study.get("scale"),
        "status": _status(run),
        "trials": len(trials),
        "bytes": sum(path.stat().st_size for path in files),
        "age_seconds": round(time.time() - newest),
        "age": f"{time_text(time.time() - newest)} ago",
    }


def _status(run: Path) -> str:
    """`finished` once its report was written after its last trial; a run in between can be gone on with."""
    if is_running(run):
        return "running"
    page = run / "index.html"
    trials = [path.stat().st_mtime for path in (run / "trials").glob("*.json")]
    unfinished = any((run / "checkpoints").glob("*.safetensors"))
    return "finished" if page.exists() and trials and not unfinished else "unfinished"


def is_running(run: Path) -> bool:
    """Whether a driver holds the run's lock."""
    try:
        import fcntl
    except ImportError:
        return False
    lock = run / ".lock"
    if not lock.exists():
        return False
    with open(lock) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def clean_run(run: Path, *, dry_run: bool) -> dict[str, Any]:
    """Remove checkpoints of finished trials, quarantined files and the weights that nothing shown needs.

    Records, latency samples, study.json and optuna.db always stay; so do the weights of front and baseline. Teachers
    lie outside the run, shared, and are not touched. Of a finished race its trial files are enough.

    Raises:
        ValueError: not a run folder, or a driver is at work in it.
    """
    if not (run / "study.json").exists():
        raise ValueError(f"RUN must be a folder that `thinbert run` wrote (with a study.json), got {run}")
    if is_running(run):
        raise ValueError(f"{run.name} is being run; wait for it before cleaning")
    keep = kept_weights(run)
    finished = set(read_records(run).records)
    doomed = [path for path in sorted((run / "weights").glob("*.safetensors")) if path.stem not in keep]
    checkpoints = sorted((run / "checkpoints").glob("*.safetensors"))
    doomed += [path for path in checkpoints if path.stem.removeprefix(GROUP_PREFIX) in finished]
    doomed += [path for path in sorted((run / "quarantine").glob("*")) if path.is_file()]
    if (run / "race.json").exists():
        doomed += sorted((run / "race" / "weights").glob("*.safetensors"))
    doomed += sorted(run.rglob(".*.tmp"))
    size = sum(path.stat().st_size for path in doomed)
    if not dry_run:
        for path in doomed:
            path.unlink()
    return {"removed": [str(path.relative_to(run)) for path in doomed], "bytes": size, "dry_run": dry_run}
