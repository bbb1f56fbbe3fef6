"""The GPU budget of a whole study: every kind of trial it trains, how many of each, and the sum.

Imports nothing heavy.
"""

from dataclasses import dataclass

from search.budget import Assumptions, StageBudget, gpu_hours, stages_of
from search.race import contenders
from search.study import Ablation, Search, all_configurations, plan
from search.trial import TrialSpec, teachers_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBudget:
    """One kind of trial of a study."""

    name: str
    count: int
    """Trained in the whole study."""
    stages: tuple[StageBudget, ...]
    """Of one of them."""
    flops: int
    """Of all of them; of a search's trials, what `count` trials spread over its whole space would take."""
    gpu_hours: float
    """Of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyBudget:
    """What a study costs on the assumed GPU."""

    assumed: Assumptions
    trials: tuple[TrialBudget, ...]

    @property
    def flops(self) -> int:
        """Of all trials."""
        return sum(trial.flops for trial in self.trials)

    @property
    def gpu_hours(self) -> float:
        """Of all trials."""
        return gpu_hours(self.flops, self.assumed)


def study_budget(study: Search | Ablation, assumed: Assumptions) -> StudyBudget:
    """The budget of a study, its teachers included; latency sessions and scoring are not counted."""
    if isinstance(study, Ablation):
        runners = contenders(study)
        teachers = teachers_of([*(one.spec for one in plan(study)), *(runner.spec for runner in runners)])
        arms = [_alike(arm.name, [arm.spec] * len(study.seeds), assumed) for arm in study.arms]
        races = [
            _alike(f"race of {norm}", [runner.spec for runner in runners if runner.norm == norm], assumed)
            for norm in dict.fromkeys(runner.norm for runner in runners)
        ]
        return StudyBudget(assumed=assumed, trials=(*_teachers(teachers, assumed), *races, *arms))
    seeds = len(study.confirmation_seeds)
    teachers = teachers_of([study.baseline]) * (1 + seeds)
    # The front is about a quarter of the trials; it and the baseline are trained again with every fresh seed.
    count = study.num_trials + seeds * (1 + round(study.num_trials / 4))
    every = [_flops(spec, assumed) for spec in all_configurations(study).values()]
    flops = sum(every) * count // len(every)
    trials = TrialBudget(
        name="configurations, the baseline's stages shown",
        count=count,
        stages=stages_of(study.baseline, assumed),
        flops=flops,
        gpu_hours=gpu_hours(flops, assumed),
    )
    return StudyBudget(assumed=assumed, trials=(*_teachers(teachers, assumed), trials))


def _teachers(teachers: list[TrialSpec], assumed: Assumptions) -> list[TrialBudget]:
    return [_alike("teacher", teachers, assumed)] if teachers else []


def _alike(name: str, specs: list[TrialSpec], assumed: Assumptions) -> TrialBudget:
    """Trials that differ in little; the first one's stages stand for all, FLOPs are every trial's own."""
    flops = sum(_flops(spec, assumed) for spec in specs)
    return TrialBudget(
        name=name,
        count=len(specs),
        stages=stages_of(specs[0], assumed),
        flops=flops,
        gpu_hours=gpu_hours(flops, assumed),
    )


def _flops(spec: TrialSpec, assumed: Assumptions) -> int:
    return sum(stage.flops for stage in stages_of(spec, assumed))
