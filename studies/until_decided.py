"""`thinbert run STUDY --until-decided`: seeds are added at looks declared beforehand, until every claim has a verdict.

Looking after every seed until something is found would double the rate of false verdicts; three looks, each at a third
of the level, keep it (`python -m benchmarks.calibration`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from search.execute import Options, Watcher
from search.fingerprint import fingerprint
from search.predict import predict
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


def run_until_decided(
    study: Ablation, home: Home, options: Options, about: Mapping[str, Any], watcher: Watcher, budget: float
) -> RunSummary:
    """Train for one look after another until all claims are decided, the looks are over, or the budget is.

    Args:
        study: with looks.
        budget: seconds of wall clock that training may be predicted to take from here on.

    Raises:
        ValueError: the first look alone is predicted to exceed the budget; or as `run_study`.
    """
    from reports.records import read_run
    from reports.verdict import verdicts

    left, summary = budget, None
    for number in range(1, len(study.looks) + 1):
        needed = look_seconds(study, number - 1, home) / options.workers
        if needed > left:
            what = f"look {number} of {len(study.looks)} ({study.looks[number - 1]} seeds)"
            text = f"{what} is predicted to take {time_text(needed)}, {time_text(left)} of the --budget are left"
            if summary is None:
                raise ValueError(f"{text}; allow more, or use more --workers")
            watcher.say(f"{text}: stopped, what is inconclusive stays so")
            return summary
        left -= needed
        summary = run_study(study, home, options, about, watcher, looks=number)
        update_study(home.run, looks_done=number)
        open_claims = [one.claim.name for one in verdicts(read_run(home.run)) if one.outcome == "inconclusive"]
        said = f"{len(open_claims)} of {len(study.claims)} claims inconclusive"
        watcher.say(f"look {number} of {len(study.looks)}, {study.looks[number - 1]} seeds: {said}")
        if not open_claims:
            break
    assert summary is not None
    return summary


def look_seconds(study: Ablation, look: int, home: Home) -> float:
    """Predicted core-seconds of the trials and teachers that a look, counted from 0, adds and no run has finished."""
    seeds = set(seeds_of_look(study, look))
    specs: list[TrialSpec] = [one.spec for one in plan(study) if one.seed in seeds]
    marked = {fingerprint(spec): spec for spec in (*teachers_of(specs), *specs)}
    return sum(predict(spec).train_seconds for mark, spec in marked.items() if not is_finished(mark, home))
