"""How well `search/predict.py` says what training takes: by arm, against times that were measured.

    python -m benchmarks.predicted_time [--times benchmarks/trial_cost.csv | gallery/paper-cpu] [--json]

Times are a table of `benchmarks.trial_cost`, one seed of every arm trained together, or a gallery, whose runs an
earlier engine trained study by study.

Prices of a FLOP, an operation and an attention score are fitted (least squares of relative errors, none below 0) to the
arms of half of the studies and tried on the other half, then the other way round, beside those of search/predict.py.

What an arm's trials hear of a teacher may have been computed before by another arm that was trained with it, or at the
same time by the other worker. So: the first arm to hear something is held against its time alone; any other, against
its time without the teacher, and through its fastest trial where they differ by more than a quarter (then some seeds
heard and others computed).
"""

import argparse
import csv
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from search.fingerprint import fingerprint
from search.predict import FLOPS_PER_SECOND, SECONDS_PER_OPERATION, SECONDS_PER_SCORE, Heard, Work, work_of
from search.study import Ablation
from studies.catalogue import load_study
from studies.data_specs import known_data_spec
from studies.reproduction import PAPERS_STUDIES
from studies.scales import sources

STUDIES = (*PAPERS_STUDIES, "interactions")
"""In the order in which the gallery's were trained."""
TIMES = Path(__file__).with_name("trial_cost.csv")
"""Of the engine as it is (studies/LOG.md, 2026-11-26)."""
HALF = ("interactions", "student-grid", "systems", "quantisation")
MIXED = 1.25
"""Slowest over fastest trial of an arm of which some seeds found their teacher's outputs."""
PRICES = np.array([1 / FLOPS_PER_SECOND, SECONDS_PER_OPERATION, SECONDS_PER_SCORE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One distinct arm."""

    study: str
    """The first that has it."""
    arm: str
    seconds: float
    work: Work


def read_arms(source: Path) -> list[Timed]:
    """The encoders' arms of all studies in a table of times or in a gallery, each once."""
    data = known_data_spec(sources("cpu"), Path(tempfile.gettempdir()))
    found, seen, heard = [], set[str](), set[Heard]()
    for name in STUDIES:
        study = load_study(name).declare("cpu", data)
        assert isinstance(study, Ablation)
        if source.is_dir():
            heard = set()
        times = _times(source, name)
        for arm in study.arms if times else ():
            mark = fingerprint(arm.spec)
            if mark in seen or not hasattr(arm.spec.student, "num_heads"):
                continue
            seen.add(mark)
            seconds, own = times[arm.name], work_of(arm.spec)
            is_mixed = bool(own.heard) and max(seconds) > MIXED * min(seconds)
            new = [] if is_mixed else [work for said, work in own.heard.items() if said not in heard]
            heard |= set(own.heard)
            work = Work(*map(sum, zip(own.own, *new, strict=True)))
            found.append(
                Timed(study=name, arm=arm.name, seconds=min(seconds) if is_mixed else fmean(seconds), work=work)
            )
    return found


def _times(source: Path, study: str) -> dict[str, list[float]]:
    """Seconds of the complete trials of each arm of a study."""
    found = defaultdict(list)
    with (source / f"{study}-cpu" / "tables" / "trials.csv" if source.is_dir() else source).open(newline="") as stream:
        for row in csv.DictReader(stream):
            if source.is_dir():
                if row["status"] == "complete" and row["train_seconds"]:
                    found[row["arm"]].append(float(row["train_seconds"]))
            elif row["study"] == study:
                found[row["arm"]].append(float(row["seconds"]))
    return found


def fit(arms: Sequence[Timed]) -> Any:
    """Seconds per FLOP, operation and score."""
    from scipy.optimize import nnls

    relative = np.array([arm.work for arm in arms]) / np.array([[arm.seconds] for arm in arms])
    scale = relative.max(axis=0)
    return nnls(relative / scale, np.ones(len(arms)))[0] / scale


def errors(arms: Sequence[Timed], prices: Any) -> dict[str, float]:
    """Relative errors of predictions, and their sum over that of the real times."""
    predicted = np.array([arm.work for arm in arms]) @ prices
    real = np.array([arm.seconds for arm in arms])
    relative = np.abs(predicted / real - 1)
    return {
        "mean": float(relative.mean()),
        "largest": float(relative.max()),
        "total": float(predicted.sum() / real.sum()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table. Returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=Path, default=TIMES, help="a table of seconds, or a gallery")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    arms = read_arms(options.times)
    halves = [arm for arm in arms if arm.study in HALF], [arm for arm in arms if arm.study not in HALF]
    tried = {"search/predict.py, all arms": errors(arms, PRICES)}
    for fitted, other, name in ((*halves, "first"), (*halves[::-1], "second")):
        tried[f"fitted to the {name} half, other half"] = errors(other, fit(fitted))
    rows = [{"study": a.study, "arm": a.arm, "seconds": a.seconds, "predicted": float(PRICES @ a.work)} for a in arms]
    if options.json:
        print(json.dumps({"arms": rows, "prices": fit(arms).tolist(), "errors": tried}, indent=1))
        return 0
    for row in rows:
        print(f"{row['study']:<26}{row['arm']:<36}{row['seconds']:7.1f} s{row['predicted']:7.1f} s predicted")
    flop, operation, score = fit(arms)
    print(
        f"\nfitted to all: {1 / flop:.3g} FLOP/s, {1e6 * operation:.3g} us an operation, {1e9 * score:.3g} ns a score"
    )
    for name, found in tried.items():
        print(f"{name}: off by {found['mean']:.1%}, {found['largest']:.0%} at most; total {found['total']:.2f} x real")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
