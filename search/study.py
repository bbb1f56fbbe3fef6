"""A study as a value: a question, the trials that could answer it, and how many. Plans without training anything."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.student import student_cost
from search.claim import LEVEL, Blocks, Claim, check_blocks, check_claims
from search.data.source import DataSources
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.latency.case import LatencyCase, Runtime
from search.latency.profile import DeviceProfile, check_profile, space_mark
from search.latency.protocol import fixed_rounds
from search.paper_table import PaperTable
from search.trial import TrialSpec

Scale = Literal["smoke", "cpu", "gpu", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "cpu", "gpu", "paper")


class Suggests(Protocol):
    """The part of an Optuna trial that a space uses."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """One quantity that was scaled down from the paper's."""

    what: str
    paper: str
    here: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A multi-objective search: accuracy on validation up, latency relative to the baseline's encoder down.

    Every `space` is a function of a trial that suggests by `suggest_categorical` and returns the student's encoder.
    """

    name: str
    question: str
    scale: Scale
    baseline: TrialSpec
    """The paper's configuration at this scale; its encoder is the latency reference."""
    space: Callable[[Suggests], EncoderConfig]
    num_trials: int
    """Distinct configurations to train, the first ones included."""
    generation_size: int
    first: tuple[dict[str, Any], ...]
    """Parameters tried before the sampler proposes any: the paper's and what the user named."""
    latency: LatencyCase
    latency_rounds: int
    latency_control_width: float | None = None
    """The widest 95 % interval (high / low - 1) of the A/A control with which a session is kept; None keeps all."""
    profile: DeviceProfile | None = None
    """Predicts the latency of candidates; front and baseline are measured at the end. None measures all of them."""
    max_latency_ms: float | None = None
    """A cap on the latency: a configuration above it is not on the front, however accurate. None: no cap."""
    sampler_seed: int = 0
    startup_trials: int = 8
    """Random configurations before the sampler models anything."""
    confirmation_seeds: tuple[int, ...] = ()
    """Fresh seeds with which the front is trained again before anything is concluded."""
    scaling: tuple[Scaling, ...] = ()

    @property
    def kind(self) -> Literal["search"]:
        """What the study file says of it."""
        return "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One value of what is compared, with the reason to try it."""

    name: str
    because: str
    spec: TrialSpec
    """At any seed; `plan` sets the study's seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equal:
    """What arms must share: largest over smallest at most 1 + tolerance."""

    what: Literal["parameters", "flops", "student_updates"]
    tolerance: float
    arms: tuple[str, ...] = ()
    """Of these alone; empty means all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """A small race of learning rates before an ablation, one per norm type of its arms (`search/race.py`).

    For ablations alone: a search may get one later.
    """

    candidates: tuple[float, ...]
    """Peak rates of pre-training and knowledge transfer; fine-tuning keeps its own."""
    seed: int
    """Outside the study, so that no trial that is compared was chosen among others."""

    def __post_init__(self) -> None:
        if len(set(self.candidates)) < max(2, len(self.candidates)):
            raise ValueError(f"a race needs two or more different candidates, got {self.candidates}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """Arms compared inside seeds (blocks). The first arm is the baseline of every contrast."""

    name: str
    question: str
    scale: Scale
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    smallest_effect: float
    """The smallest difference in the primary metric (accuracy, points) that would matter."""
    latency: LatencyCase
    latency_rounds: int
    latency_control_width: float | None = None
    """The widest 95 % interval (high / low - 1) of the A/A control with which a session is kept; None keeps all."""
    equal: tuple[Equal, ...] = ()
    scaling: tuple[Scaling, ...] = ()
    race: Race | None = None
    """Chooses the learning rate of all arms of a norm type before anything else is trained."""
    claims: tuple[Claim, ...] = ()
    """What the page judges, as one family; declared before the run, kept in study.json."""
    score_runtimes: tuple[Runtime, ...] = ()
    """Deployed forms in which every trial is scored too, as `onnx-int8/accuracy` and so on."""
    paper: tuple[PaperTable, ...] = ()
    """The paper's own numbers for these arms, to stand beside ours."""
    looks: tuple[int, ...] = ()
    """How many of the seeds each look at the verdicts has, declared before the run; every look is judged at an equal
    share of the level, and none may come after it that was not declared. Empty: all seeds, judged once."""
    latency_sessions: int = 1
    """Measuring sessions, each an interval of its own; claims on latency need six or more."""

    @property
    def kind(self) -> Literal["ablation"]:
        """What the study file says of it."""
        return "ablation"

    @property
    def baseline(self) -> TrialSpec:
        """The first arm at the first seed."""
        return at_seed(self.arms[0].spec, self.seeds[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What a file of studies/ declares: a question and its trials as a function of scale and data."""

    name: str
    question: str
    sources: Callable[[Scale], DataSources]
    """The data it runs on unless the user brings others."""
    declare: Callable[[Scale, DataSpec], Search | Ablation]


class Planned(NamedTuple):
    """One trial of an ablation."""

    arm: str
    seed: int
    spec: TrialSpec


def at_seed(spec: TrialSpec, seed: int) -> TrialSpec:
    """The same trial, and its teacher, with another seed (a given teacher has none). An ensemble's seeds keep their
    distance from the trial's."""
    teacher = replace(spec.teacher, seed=seed) if isinstance(spec.teacher, TrialSpec) else spec.teacher
    ensemble = tuple(replace(other, seed=other.seed + seed - spec.seed) for other in spec.ensemble)
    return replace(spec, seed=seed, teacher=teacher, ensemble=ensemble)


def plan(study: Ablation) -> tuple[Planned, ...]:
    """All trials of an ablation, seed by seed.

    Raises:
        ValueError: two arms are the same trial (a dead knob) or share a name, a seed is repeated, arms said to be equal
            are not, a claim speaks of no arm, or the seeds are too few for any verdict (the two-sided sign-flip test
            cannot go below 2^(1 - seeds), times what is judged: the claims, or every arm against the first where none
            is declared), or a BiLSTM is to be scored in a deployed form.
    """
    _check_distinct(study)
    _check_looks(study)
    check_claims(study.name, study.claims, [arm.name for arm in study.arms])
    for equal in study.equal:
        _check_equal(study, equal)
    for arm in study.arms if study.score_runtimes else ():
        if isinstance(arm.spec.student, BiLSTMConfig):
            raise ValueError(
                f"{study.name}: what is scored in {', '.join(study.score_runtimes)} must be an encoder, got the BiLSTM "
                f"of {arm.name!r}; leave score_runtimes or the arm out"
            )
    if study.scale != "smoke":
        _check_seeds(study)
    return tuple(
        Planned(arm.name, seed, at_seed(arm.spec, seed)) for seed, arm in itertools.product(study.seeds, study.arms)
    )


def _check_seeds(study: Ablation) -> None:
    if study.claims:
        blocks: dict[Blocks, int] = {"seeds": len(study.seeds), "sessions": study.latency_sessions}
        check_blocks(study.name, study.claims, blocks, num_looks=max(1, len(study.looks)))
        return
    floor = 2.0 ** (1 - len(study.seeds)) * (len(study.arms) - 1)
    if floor > LEVEL:
        raise ValueError(
            f"{study.name}: {len(study.seeds)} seeds cannot reach a verdict on {len(study.arms) - 1} contrasts "
            f"(smallest possible p {floor:.3f}, needed {LEVEL}); use more seeds or fewer arms"
        )


def _check_looks(study: Ablation) -> None:
    looks = study.looks
    if looks and (list(looks) != sorted(set(looks)) or looks[0] < 1 or looks[-1] != len(study.seeds)):
        raise ValueError(
            f"{study.name}: looks must rise to the number of seeds, {len(study.seeds)}; got "
            f"{', '.join(map(str, looks))}"
        )


def seeds_of_look(study: Ablation, look: int) -> tuple[int, ...]:
    """The seeds that a look, counted from 0, adds; all of them where no looks are declared."""
    if not study.looks:
        return study.seeds
    return study.seeds[study.looks[look - 1] if look else 0 : study.looks[look]]


def _check_distinct(study: Ablation) -> None:
    names = [arm.name for arm in study.arms]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f"{study.name}: every arm must have a name of its own, got {repeated[0]!r} twice")
    if len(set(study.seeds)) < len(study.seeds):
        raise ValueError(f"{study.name}: seeds must differ, got {study.seeds}; a seed run twice is one block")
    if study.race is not None and study.race.seed in study.seeds:
        raise ValueError(
            f"{study.name}: the race must be on a seed outside the study, got {study.race.seed}, one of {study.seeds}"
        )
    seen: dict[str, str] = {}
    for arm in study.arms:
        other = seen.setdefault(fingerprint(at_seed(arm.spec, 0)), arm.name)
        if other != arm.name:
            raise ValueError(f"{study.name}: arms {other!r} and {arm.name!r} are the same trial; a knob is dead")


def _check_equal(study: Ablation, equal: Equal) -> None:
    names = equal.arms or tuple(arm.name for arm in study.arms)
    amounts = {arm.name: _amount(arm.spec, equal.what) for arm in study.arms if arm.name in names}
    if len(amounts) < len(names):
        raise ValueError(f"{study.name}: {equal.what} must be equal for arms of the study, got {', '.join(names)}")
    low, high = min(amounts, key=lambda name: amounts[name]), max(amounts, key=lambda name: amounts[name])
    if amounts[high] > amounts[low] * (1 + equal.tolerance):
        raise ValueError(
            f"{study.name}: {equal.what} must be equal within {equal.tolerance:.1%}, got {amounts[low]:,} for {low!r} "
            f"and {amounts[high]:,} for {high!r}"
        )


def _amount(spec: TrialSpec, what: str) -> int:
    if what == "student_updates":
        return spec.recipe.student_updates
    total = student_cost(spec.student, spec.data.length)
    return total.parameters if what == "parameters" else total.flops


class Replay:
    """Stands in for an Optuna trial: answers with given parameters and notes the choices offered."""

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.params = dict(params or {})
        self.choices: dict[str, tuple[Any, ...]] = {}

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """The given value (the first choice where none was given)."""
        self.choices[name] = tuple(choices)
        value = self.params.setdefault(name, self.choices[name][0])
        if value not in self.choices[name]:
            raise ValueError(f"{name} must be one of {', '.join(map(str, self.choices[name]))}; got {value!r}")
        return value


def configuration(search: Search, params: dict[str, Any]) -> TrialSpec:
    """The trial that the space makes of given parameters. Raises ValueError for an unknown knob or a value outside."""
    replay = Replay(params)
    encoder = search.space(replay)
    unknown = sorted(set(params) - set(replay.choices))
    if unknown:
        raise ValueError(f"{search.name} has no knob {unknown[0]!r}; its knobs are {', '.join(replay.choices)}")
    return replace(search.baseline, student=encoder)


def knobs(search: Search) -> dict[str, tuple[Any, ...]]:
    """Each knob with all its choices, in the order in which the space asks; conditional choices are merged."""
    merged: dict[str, dict[Any, None]] = {}
    for replay, _ in _walk(search.space):
        for name, choices in replay.choices.items():
            merged.setdefault(name, {}).update(dict.fromkeys(choices))
    return {name: tuple(choices) for name, choices in merged.items()}


def all_configurations(search: Search) -> dict[str, TrialSpec]:
    """Every distinct trial of the space, by fingerprint."""
    specs = (replace(search.baseline, student=encoder) for _, encoder in _walk(search.space))
    return {fingerprint(spec): spec for spec in specs}


def check_search(search: Search) -> None:
    """Raises ValueError for a dead knob, a first configuration outside the space, or counts and a cap that make no
    sense."""
    if search.num_trials < 1:
        raise ValueError(f"a search needs at least 1 trial, got {search.num_trials}")
    fixed_rounds(search.latency_rounds, control_width=search.latency_control_width)
    cap = search.max_latency_ms
    if cap is not None and not 0.0 < cap < math.inf:
        raise ValueError(f"max_latency_ms of a search must be above 0 and finite, got {cap!r}")
    for params in search.first:
        configuration(search, params)
    if search.profile is not None:
        check_profile(search.profile, search.name, mark_of_space(search), search.latency)
    for name, choices in knobs(search).items():
        if len(choices) > 1 and not _matters(search, name):
            raise ValueError(f"{search.name}: knob {name!r} is dead: none of its choices changes the encoder")


def mark_of_space(search: Search) -> str:
    """The space's short name, by which a device profile knows it."""
    return space_mark(knobs(search), search.baseline.encoder)


def _matters(search: Search, name: str) -> bool:
    """Whether a knob changes the encoder while the others stay, or (one that gates others) what encoders can be had."""
    beside: dict[str, set[str]] = {}
    opened: dict[Any, set[str]] = {}
    for replay, encoder in _walk(search.space):
        if name in replay.params:
            mark = fingerprint(encoder)
            others = str(sorted((key, value) for key, value in replay.params.items() if key != name))
            beside.setdefault(others, set()).add(mark)
            opened.setdefault(replay.params[name], set()).add(mark)
    changes_encoder = any(len(encoders) > 1 for encoders in beside.values())
    return changes_encoder or len({frozenset(encoders) for encoders in opened.values()}) > 1


def _walk(space: Callable[[Suggests], EncoderConfig]) -> list[tuple[Replay, EncoderConfig]]:
    """Every path through a space, depth first: conditional knobs included."""
    found: list[tuple[Replay, EncoderConfig]] = []
    pending: list[dict[str, Any]] = [{}]
    while pending:
        fixed = pending.pop(0)
        replay = Replay(fixed)
        encoder = space(replay)
        open_names = [name for name in replay.choices if name not in fixed]
        if not open_names:
            found.append((replay, encoder))
            continue
        pending += [{**fixed, open_names[0]: choice} for choice in replay.choices[open_names[0]]]
    return found
