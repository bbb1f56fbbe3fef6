"""The learning-rate race of an ablation as values: who runs in it, and the study with the rates that won.

Norms without statistics (NoNorm) and LayerNorm want different learning rates; with one rate for both, an ablation would
compare how well that rate suits each. Imports nothing heavy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from model_zoo.config import EncoderConfig, Norm
from search.fingerprint import fingerprint
from search.recipe import Recipe
from search.record import Status
from search.study import Ablation, Arm, at_seed, plan
from search.trial import TrialSpec

SCHEMA = 1


class Contender(NamedTuple):
    """One candidate rate of one norm type, as a trial."""

    norm: Norm
    arm: str
    """The first of its norm type."""
    rate: float
    spec: TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How one contender came in."""

    fingerprint: str
    rate: float
    status: Status
    accuracy: float | None
    """On validation, in percent; none where the training diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormRace:
    """The race of one norm type."""

    norm: Norm
    arm: str
    rate: float
    """The winner's."""
    candidates: tuple[Finish, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceResult:
    """What RUN/race.json says."""

    seed: int
    races: tuple[NormRace, ...]
    finished: str
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {self.schema}; this race is of another version")

    @property
    def rates(self) -> dict[Norm, float]:
        """The winner of each norm type."""
        return {race.norm: race.rate for race in self.races}


def with_rate(recipe: Recipe, rate: float) -> Recipe:
    """The recipe with another peak rate before fine-tuning."""
    stage, transfer = recipe.pre_training, recipe.knowledge_transfer
    stage = replace(stage, optimizer=replace(stage.optimizer, learning_rate=rate))
    if transfer is not None:
        transfer = replace(transfer, optimizer=replace(transfer.optimizer, learning_rate=rate))
    return replace(recipe, pre_training=stage, knowledge_transfer=transfer)


def raced(study: Ablation, rates: Mapping[Norm, float]) -> Ablation:
    """The study with the rate of its norm type in every encoder's arm. Teachers keep theirs, and so does a BiLSTM,
    which has no norm and no update that the race's rate is for."""
    arms = tuple(
        replace(arm, spec=replace(arm.spec, recipe=with_rate(arm.spec.recipe, rates[encoder.norm])))
        if isinstance(encoder := arm.spec.student, EncoderConfig)
        else arm
        for arm in study.arms
    )
    return replace(study, arms=arms)


def contenders(study: Ablation) -> tuple[Contender, ...]:
    """All trials of a study's race, norm type by norm type in the order of the arms; none without a race.

    Raises:
        ValueError: what `plan` raises, also of the study as it is after the race: arms that differ in nothing but a
            rate that the race sets are the same trial.
    """
    if study.race is None:
        return ()
    plan(raced(study, _first_rates(study)))
    first: dict[Norm, Arm] = {}
    for arm in study.arms:
        if isinstance(arm.spec.student, EncoderConfig):
            first.setdefault(arm.spec.student.norm, arm)
    found = []
    for norm in first:
        spec = at_seed(first[norm].spec, study.race.seed)
        for rate in study.race.candidates:
            found.append(Contender(norm, first[norm].name, rate, replace(spec, recipe=with_rate(spec.recipe, rate))))
    return tuple(found)


def race_fingerprint(study: Ablation) -> str:
    """Names race and baseline whatever rate won: the same before and after the race."""
    before = raced(study, _first_rates(study)).baseline
    return fingerprint({"race": study.race, "baseline": before})


def choose(runners: tuple[Contender, ...], finishes: Mapping[str, Finish]) -> tuple[NormRace, ...]:
    """The winner of each norm type: the best accuracy on validation, the smaller rate of equally good ones.

    Args:
        finishes: by fingerprint.

    Raises:
        ValueError: no candidate of a norm type has an accuracy.
    """
    return tuple(
        _winner([runner for runner in runners if runner.norm == norm], finishes)
        for norm in dict.fromkeys(runner.norm for runner in runners)
    )


def _winner(runners: list[Contender], finishes: Mapping[str, Finish]) -> NormRace:
    norm, arm = runners[0].norm, runners[0].arm
    candidates = tuple(finishes[fingerprint(runner.spec)] for runner in runners)
    ranked = [(one.accuracy, -one.rate) for one in candidates if one.status == "complete" and one.accuracy is not None]
    if not ranked:
        ends = ", ".join(f"{one.rate:g} ({one.status})" for one in candidates)
        raise ValueError(
            f"the race of {norm} needs a candidate that trains to its end, got {ends} with arm {arm!r}; declare "
            "smaller rates"
        )
    return NormRace(norm=norm, arm=arm, rate=-max(ranked)[1], candidates=candidates)


def _first_rates(study: Ablation) -> dict[Norm, float]:
    """A stand-in for the race's outcome that is the same before and after it."""
    assert study.race is not None
    students = [arm.spec.student for arm in study.arms]
    return {one.norm: study.race.candidates[0] for one in students if isinstance(one, EncoderConfig)}
