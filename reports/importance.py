"""How much each knob decided over being among the best trials: Optuna's PED-ANOVA, or "too few trials to say".

Watanabe, Bansal, Hutter 2023 (arXiv 2304.10255). Bars without a yardstick invite reading noise, so each comes with the
largest value that the same knob gets when the results are shuffled among the trials.
"""

import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reports.points import chosen_by
from reports.records import Record, Run, value_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

TARGET_QUANTILE = 0.25
"""The best quarter is compared with all trials."""
MIN_TRIALS = 20
"""Distinct complete configurations: Optuna advises at least 5 in the best quantile, and 5 / 0.25 is 20."""
NUM_SHUFFLES = 39
"""The largest of 39 shuffles and the real value: one in 40 by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnobImportance:
    """One knob."""

    knob: str
    divergence: float
    """Pearson divergence between the knob's values in the best quarter and in all trials; 0 is no difference."""
    share: float
    """Of the sum over the knobs."""
    chance: float
    """The largest divergence among the shuffles: one that does not pass it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """The knobs of one objective, most important first, or the reason why nothing can be said."""

    objective: str
    num_trials: int
    knobs: tuple[KnobImportance, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Params:
    values: Mapping[str, Any]
    distributions: Mapping[str, "BaseDistribution"]


def run_importance(run: Run) -> list[Importance]:
    """Importance of each knob for the accuracy that the search saw, and for latency."""
    records = list(run.records)
    return [
        knob_importance(records, "accuracy", chosen_by, maximize=True),
        knob_importance(records, "latency", lambda record: value_of(record, "latency_ratio"), maximize=False),
    ]


def knob_importance(
    records: list[Record], objective: str, value: Callable[[Record], float | None], *, maximize: bool
) -> Importance:
    """Importance of each knob for one objective, from the params and distributions that the trial files keep.

    Args:
        records: trials; only complete ones with params count, and each set of params once.
        objective: what it is called in the result.
        value: the objective of a record, None where it was not measured.
        maximize: whether more is better.
    """
    trials = _distinct(records, value)
    if len(trials) < MIN_TRIALS:
        reason = f"too few trials to say: {len(trials)} distinct complete configurations, {MIN_TRIALS} are needed"
        return Importance(objective=objective, num_trials=len(trials), knobs=(), reason=reason)
    values = np.array([number for _, number in trials], dtype=float)
    if np.ptp(values) == 0:
        return Importance(
            objective=objective, num_trials=len(trials), knobs=(), reason="all trials have the same value"
        )
    generator = np.random.default_rng(0)
    shuffles = [values, *(generator.permutation(values) for _ in range(NUM_SHUFFLES))]
    found, *shuffled = _divergences([entry for entry, _ in trials], [-row if maximize else row for row in shuffles])
    total = sum(found.values()) or 1.0
    knobs = [
        KnobImportance(
            knob=knob,
            divergence=divergence,
            share=divergence / total,
            chance=max(other.get(knob, 0.0) for other in shuffled),
        )
        for knob, divergence in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    reason = "" if knobs else "no knob was varied in all trials"
    return Importance(objective=objective, num_trials=len(trials), knobs=tuple(knobs), reason=reason)


def _distinct(records: list[Record], value: Callable[[Record], float | None]) -> list[tuple[_Params, float]]:
    """(params, objective), one per set of params of the search space that most trials share.

    Confirmations with fresh seeds are no new evidence on knobs.
    """
    found: dict[str, tuple[_Params, float]] = {}
    for record in records:
        number = value(record)
        if record["status"] != "complete" or number is None or (record.get("role") or "search") != "search":
            continue
        for trial in record["trials"]:
            params = _read_params(trial)
            if params is not None:
                found.setdefault(json.dumps(params.values, sort_keys=True), (params, number))
    spaces = Counter(_space(params) for params, _ in found.values())
    largest = spaces.most_common(1)[0][0] if spaces else ""
    return [entry for entry in found.values() if _space(entry[0]) == largest]


def _space(params: _Params) -> str:
    return repr(sorted(params.distributions.items()))


def _read_params(trial: Record) -> _Params | None:
    values, declared = trial.get("params"), trial.get("distributions")
    if not isinstance(values, dict) or not values or not isinstance(declared, dict) or set(values) != set(declared):
        return None
    try:
        distributions = {
            name: _distribution(text if isinstance(text, str) else json.dumps(text)) for name, text in declared.items()
        }
        for name, value in values.items():
            distributions[name].to_internal_repr(value)
    except (ValueError, KeyError, TypeError):
        return None
    return _Params(values=values, distributions=distributions)


@lru_cache(maxsize=256)
def _distribution(text: str) -> "BaseDistribution":
    """The same few come again in every trial."""
    from optuna.distributions import json_to_distribution

    found: BaseDistribution = json_to_distribution(text)
    return found


def _divergences(trials: list[_Params], losses: Sequence[NDArray[np.float64]]) -> list[dict[str, float]]:
    """The divergence of each knob for every row of losses, less being better."""
    from optuna.distributions import CategoricalDistribution

    if all(isinstance(kind, CategoricalDistribution) for kind in trials[0].distributions.values()):
        return _of_choices(trials, np.array(losses))
    return _by_optuna(trials, losses)


def _of_choices(trials: list[_Params], losses: NDArray[np.float64]) -> list[dict[str, float]]:
    """PED-ANOVA of knobs that are choices, all rows at once: what Optuna gives (a test compares them).

    Optuna asks every trial anew for every row: with 2,000 trials that took longer than all the rest of a report.

    Args:
        losses: [rows, trials].
    """
    num_trials = losses.shape[1]
    cutoff = math.ceil(TARGET_QUANTILE * num_trials) - 1
    is_top = (losses <= np.partition(losses, cutoff, axis=1)[:, cutoff, None]).astype(np.float64)
    share = is_top.mean(axis=1)
    found: list[dict[str, float]] = [{} for _ in losses]
    for name, kind in trials[0].distributions.items():
        places = np.array([kind.to_internal_repr(trial.values[name]) for trial in trials], dtype=np.int64)
        chosen = np.eye(len(kind.choices))[places]  # type: ignore[attr-defined]
        of_all, of_top = _density(chosen.sum(axis=0)[None]), _density(is_top @ chosen)
        divergence = 0.0 * share if kind.single() else share**2 * (of_all * (of_top / of_all - 1) ** 2).sum(axis=1)
        for row, value in zip(found, divergence.tolist(), strict=True):
            row[name] = value
    return found


def _density(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Optuna's density over choices: a kernel on every choice that occurs, weighed by its count, and a uniform prior.

    Args:
        counts: [rows, choices].
    """
    num_choices = counts.shape[1]
    num_kernels = (counts > 0).sum(axis=1, keepdims=True) + 1
    weight = 1 / (counts.sum(axis=1, keepdims=True) + 1)
    wide = num_choices + num_kernels
    density: NDArray[np.float64] = (1 - weight) / wide + weight * counts * num_kernels / wide + weight / num_choices
    return density + 1e-12


def _by_optuna(trials: list[_Params], losses: Sequence[NDArray[np.float64]]) -> list[dict[str, float]]:
    """PED-ANOVA on a study in memory, once for every row of losses; the log level of optuna is put back as it was."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    def of_row(row: NDArray[np.float64]) -> dict[str, float]:
        return get_param_importances(
            study, evaluator=evaluator, normalize=False, target=lambda trial: float(row[trial.number])
        )

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="minimize")
        study.add_trials(
            optuna.create_trial(params=dict(trial.values), distributions=dict(trial.distributions), value=0.0)
            for trial in trials
        )
        evaluator = PedAnovaImportanceEvaluator(target_quantile=TARGET_QUANTILE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `normalize` is one
            warnings.filterwarnings("ignore", ".*to achieve low `target` values")  # as the losses are
            return [of_row(row) for row in losses]
    finally:
        optuna.logging.set_verbosity(level)


def _loss_of(row: NDArray[np.float64]) -> Callable[[Any], float]:
    return lambda trial: float(row[trial.number])
