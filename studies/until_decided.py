"""`thinbert run STUDY --until-decided`: seeds are added at looks declared beforehand, until every claim has a verdict.

Looking after every seed until something is found would double the rate of false verdicts; three looks, each at a third
of the level, keep it (`python -m benchmarks.calibration`).

The budget is of the clock. A look is begun where what is predicted of it fits in what is left, the prediction taken as
many times as long as the trials of this run have really taken against theirs.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.execute import Options, Watcher
from search.fingerprint import fingerprint
from search.machine import cores
from search.predict import together, work_of
from search.run import RunSummary, run_study
from search.run_folder import update_study
from search.shared_trials import is_finished
from search.study import Ablation, Search, plan, seeds_of_look
from search.trial import TrialSpec, teachers_of
from search.worker import Home
from studies.terminal import time_text

LOOKS = (8, 12, 16)
"""Seeds at each look."""
UNITS = {"s": 1, "min": 60, "h": 3600}


def budget_seconds(text: str) -> float:
    """A time as a user writes it.

    Raises:
        ValueError: anything else.

    >>> budget_seconds("2h"), budget_seconds("90min")
    (7200.0, 5400.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if found is None or not float(found[1]) > 0:
        raise ValueError(f"--budget must be a time above 0 such as 2h or 90min, got {text!r}")
    return float(found[1]) * UNITS[found[2]]


def with_looks(declared: Search | Ablation, looks: Sequence[int] = LOOKS) -> Ablation:
    """The study with seeds up to the last look. Raises ValueError where there is nothing that looks could decide."""
    if isinstance(declared, Search) or not declared.claims:
        raise ValueError(f"--until-decided is for studies that declare claims, {declared.name} declares none")
    return replace(declared, seeds=tuple(range(looks[-1])), looks=tuple(looks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long trials really take."""

    factor: float = 1.0
    """Processor seconds over predicted ones."""
    num_trials: int = 0
    """That it is from; without any it is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds of wall clock."""

    whole: float
    used: float

    @property
    def left(self) -> float:
        """Nothing, where more was used than there was."""
        return max(0.0, self.whole - self.used)

    def __str__(self) -> str:
        used, left = time_text(self.used), time_text(self.left)
        return f"of the --budget of {time_text(self.whole)} {used} are used and {left} are left"


def run_until_decided(
    study: Ablation,
    home: Home,
    options: Options,
    about: Mapping[str, Any],
    watcher: Watcher,
    budget: float,
    clock: Callable[[], float] = time.monotonic,
) -> RunSummary:
    """Train for one look after another until all claims are decided, the looks are over, or the budget is.

    Args:
        study: with looks.
        budget: seconds of wall clock from here on. A look that was begun is finished, whatever it takes.
        clock: seconds.

    Raises:
        ValueError: the first look alone is predicted to exceed the budget; or as `run_study`.
    """
    started, summary = clock(), None
    for number in range(1, len(study.looks) + 1):
        name = f"look {number} of {len(study.looks)}"
        if too_long := _too_long(study, number, home, options, Budget(whole=budget, used=clock() - started)):
            text = f"{name} ({study.looks[number - 1]} seeds) {too_long}"
            if summary is None:
                raise ValueError(f"{text}; allow more, or use more --workers")
            watcher.say(f"{text}: stopped, what is inconclusive stays so")
            return summary
        summary = run_study(study, home, options, about, watcher, looks=number)
        update_study(home.run, looks_done=number)
        num_open = _num_inconclusive(home.run)
        said = f"{num_open} of {len(study.claims)} claims inconclusive"
        watcher.say(f"{name}, {study.looks[number - 1]} seeds: {said}")
        if not num_open:
            break
    assert summary is not None
    why = "this was the last look" if num_open else "every claim is decided"
    watcher.say(f"stopped, {why}; {Budget(whole=budget, used=clock() - started)}")
    return summary


def _too_long(study: Ablation, number: int, home: Home, options: Options, budget: Budget) -> str:
    """That a look would take more than is left, as the end of a sentence; empty where it would not."""
    from reports.readable import plural

    predicted = look_seconds(study, number - 1, home, options.workers)
    pace = pace_of(home.run)
    needed = pace.factor * predicted
    if needed <= budget.left:
        return ""
    because = "predicted"
    if pace.num_trials:
        trials = plural(pace.num_trials, "trial")
        because = f"{pace.factor:.2f} times the {time_text(predicted)} predicted, as {trials} here took"
    return f"needs {time_text(needed)} ({because}), {budget}"


def _num_inconclusive(run: Path) -> int:
    from reports.reading import read_run
    from reports.verdict import verdicts

    return sum(one.outcome == "inconclusive" for one in verdicts(read_run(run)))


def pace_of(run: Path) -> Pace:
    """The time that a run's own complete trials took over that predicted for them; those taken over count nowhere.

    The ratio of the sums, the mean ratio with each trial weighted by its prediction: what several trials hear of a
    teacher is one trial's time.
    """
    from reports.reading import read_trials
    from reports.training_time import training_time

    if not (run / "trials").is_dir():
        return Pace()
    found = training_time([record for record in read_trials(run) if "taken_from" not in record["provenance"]])
    if not found.num_compared:
        return Pace()
    return Pace(factor=found.compared_seconds / found.predicted_seconds, num_trials=found.num_compared)


def look_seconds(study: Ablation, look: int, home: Home, workers: int) -> float:
    """Predicted seconds of the trials and teachers that a look, counted from 0, adds and no run has finished.

    Shared by as many workers as have a core, and no less than the longest trial after its teacher.
    """
    seeds = set(seeds_of_look(study, look))
    specs: list[TrialSpec] = [one.spec for one in plan(study) if one.seed in seeds]
    marked = {fingerprint(spec): spec for spec in (*teachers_of(specs), *specs)}
    works = {mark: work_of(spec) for mark, spec in marked.items() if not is_finished(mark, home)}

    def chain(mark: str, spec: TrialSpec) -> float:
        before = [works[one].seconds for one in map(fingerprint, teachers_of([spec])) if one in works]
        return works[mark].seconds + max(before, default=0.0)

    longest = max((chain(mark, spec) for mark, spec in marked.items() if mark in works), default=0.0)
    return max(longest, together(works.values()) / min(workers, cores()))
