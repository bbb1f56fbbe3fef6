"""What it takes to run all of the paper's studies: their distinct trials and predicted time, before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.predict import together, work_of
from search.study import Ablation, Scale, plan
from search.trial import TrialSpec, teachers_of
from studies.catalogue import load_study
from studies.terminal import time_text

PAPERS_STUDIES = (
    "training-objectives",
    "training-strategies",
    "operational-optimisations",
    "quantisation",
    "systems",
    "student-grid",
    "teacher-search",
)
"""One for each table of Sun et al. 2020, in the order in which they share most."""
LIMIT_SECONDS = 2 * 3600.0
"""Of wall clock, training alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One study of a reproduction."""

    study: Ablation
    trials: int
    new: dict[str, TrialSpec]
    """By fingerprint: what no study before it trains, its teachers included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Several studies that share trials by fingerprint."""

    scale: Scale
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> tuple[float, ...]:
        """Predicted time of one core of what each part trains."""
        return tuple(together(work_of(spec) for spec in part.new.values()) for part in self.parts)


def reproduction(scale: Scale, data: DataSpec, names: Sequence[str] = PAPERS_STUDIES) -> Reproduction:
    """Plan the studies of some names, each after those before it.

    Raises:
        ValueError: one of them cannot reach a verdict, or does not hold equal what it says.
    """
    parts, seen = [], set[str]()
    for name in names:
        study = load_study(name).declare(scale, data)
        if not isinstance(study, Ablation):
            raise ValueError(f"a reproduction is of studies that compare planned arms, got {name}, which searches")
        specs = [one.spec for one in plan(study)]
        marked = {fingerprint(spec): spec for spec in (*teachers_of(specs), *specs)}
        parts.append(
            Part(
                study=study,
                trials=len(specs),
                new={mark: spec for mark, spec in marked.items() if mark not in seen},
            )
        )
        seen |= set(marked)
    return Reproduction(scale=scale, parts=tuple(parts))


def check_time(planned: Reproduction, workers: int) -> None:
    """Raises ValueError where training is predicted to exceed two hours."""
    seconds = sum(planned.seconds) / workers
    if seconds > LIMIT_SECONDS:
        raise ValueError(
            f"a reproduction must be trained within {time_text(LIMIT_SECONDS)}, got {time_text(seconds)} at scale "
            f"{planned.scale} with {workers} workers; use more --workers, or run the studies one by one"
        )


def reproduction_rows(planned: Reproduction, workers: int) -> list[tuple[str, ...]]:
    """The plan as a table: per study its arms, trials, those not trained by a study before it, and their time."""
    seconds = planned.seconds
    rows: list[tuple[str, ...]] = [("study", "arms", "trials", "new", "of one core")]
    for part, own in zip(planned.parts, seconds, strict=True):
        rows.append((part.study.name, str(len(part.study.arms)), str(part.trials), str(len(part.new)), time_text(own)))
    total = sum(seconds)
    arms = {fingerprint(arm.spec) for part in planned.parts for arm in part.study.arms}
    distinct = sum(len(part.new) for part in planned.parts)
    every = sum(part.trials for part in planned.parts)
    rows.append(("in all", f"{len(arms)} distinct", str(every), str(distinct), time_text(total)))
    rows.append((f"with {workers} workers", "", "", "", time_text(total / workers)))
    return rows
