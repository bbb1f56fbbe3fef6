"""What a table or figure is made from: the path of a run folder, a Run, or a frame of `reports.table`; always a Run.

A frame says less than a folder: no reference model, no margin or claim, no reason why a number is missing. What is
drawn from it then lacks them.
"""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pandas as pd

from reports.naming import BASELINE_NAME
from reports.reading import read_run
from reports.records import Record, Run

RunSource: TypeAlias = str | Path | Run
"""The path of a run folder, or what `read_run` made of it."""
Source: TypeAlias = RunSource | pd.DataFrame

Part = TypeVar("Part")

NOTHING = "nothing"
"""In the column `changed`: the baseline itself."""
TRIAL_COLUMNS = ("trial", "arm", "seed", "task", "metric", "value", "low", "high", "changed")
CURVE_COLUMNS = ("trial", "arm", "seed", "stage", "step", "metric", "value", "changed")


def given_run(run: RunSource) -> Run:
    """The run itself; of a path what `read_run` gives, with a warning for each file that could not be used.

    Raises ValueError where the path is no run folder.
    """
    if isinstance(run, Run):
        return run
    found = read_run(Path(run))
    for problem in found.problems:
        warnings.warn(f"{found.name}: {problem}", stacklevel=3)
    return found


def run_of(source: Source) -> Run:
    """A run for a figure: that of `given_run`, or what a frame of `trials` or `curves` says.

    Raises ValueError where a path is no run folder or a frame has other columns.
    """
    if not isinstance(source, pd.DataFrame):
        return given_run(source)
    columns = CURVE_COLUMNS if "stage" in source.columns else TRIAL_COLUMNS
    missing = [name for name in columns if name not in source.columns]
    if missing:
        raise ValueError(
            f"a frame must have the columns {', '.join(columns)}, got one without {', '.join(missing)}; "
            "reports.table.trials(run) and curves(run) make such frames"
        )
    arms = [str(arm) for arm in source["arm"].dropna().unique()]
    records = [
        _record(number, str(trial), rows.to_dict("records"))
        for number, (trial, rows) in enumerate(source.groupby("trial", sort=False))
    ]
    study: Record = {"kind": "ablation" if arms else "search", "baseline": _spec(NOTHING, arms[:1])}
    study |= {
        "arms": [{"name": arm} for arm in arms],
        "seeds": [int(seed) for seed in source["seed"].dropna().unique()],
    }
    study["claims"] = ["not known"]  # nor any rule declared beforehand: arms are then compared without a verdict
    return Run(name="frame", study=study, records=tuple(records), problems=())


def chosen(parts: Mapping[str, Part], name: str | None, what: str) -> Part:
    """The part of a figure that is drawn: the one named, or the only one.

    Args:
        what: what the names are names of, for errors.

    Raises:
        ValueError: there is none, no such one, or none was named of several.
    """
    if not parts:
        raise ValueError(f"a figure by {what} needs one, got a run without any; its page says why")
    if name is None and len(parts) == 1:
        return next(iter(parts.values()))
    if name is None or name not in parts:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, parts))}, got {name!r}")
    return parts[name]


def _record(number: int, trial: str, rows: Sequence[Mapping[Hashable, Any]]) -> Record:
    """One trial as the figures read it. Whether one without accuracy diverged is not known."""
    first = {key: None if pd.isna(value) else value for key, value in rows[0].items()}
    seed = None if first["seed"] is None else int(first["seed"])
    arms = list(dict.fromkeys(str(row["arm"]) for row in rows if not pd.isna(row["arm"])))
    # Without a baseline nothing says which trials of a search share a configuration.
    changed = str(first["changed"] or ("" if arms else trial))
    name = BASELINE_NAME if changed == NOTHING else changed
    own = [row for row in rows if not arms or row["arm"] == arms[0]]  # a trial of two arms has its rows twice
    return {
        "fingerprint": trial,
        "status": "complete",
        "reason": "",
        "spec": {**_spec(changed, arms[:1]), "seed": seed},
        "measurements": [] if "stage" in first else _measurements(own),
        "curves": [{name: row[name] for name in ("stage", "step", "metric", "value")} for row in own if "stage" in row],
        # A trial of a search has no arm; its name in a figure is what changed.
        "trials": [{"number": number, "arm": arm, "params": {"seed": seed}} for arm in arms or [name]],
        "provenance": {},
    }


def _spec(changed: str, arms: Sequence[str]) -> Record:
    return {"student": {"changed": changed}, "arm": arms[0] if arms else None}


def _measurements(rows: Sequence[Mapping[Hashable, Any]]) -> list[Record]:
    found: list[Record] = []
    scored: set[str] = set()
    for row in rows:
        if pd.isna(row["value"]):
            continue
        task, before, measure = row["task"], *str(row["metric"]).rpartition("/")[::2]
        has_task = not pd.isna(task)
        conditions: Record = {"runtime": before} if before not in ("", "validation") else {}
        if has_task and not before:
            conditions["primary"] = str(task) not in scored  # trials() has a task's primary metric first
            scored.add(str(task))
        parts = (before, str(task) if has_task else "", measure)
        whole = not (pd.isna(row["low"]) or pd.isna(row["high"]))
        interval = {"low": float(row["low"]), "high": float(row["high"])} if whole else None
        metric = "/".join(part for part in parts if part)
        found.append({"metric": metric, "value": float(row["value"]), "interval": interval, "conditions": conditions})
    return found
