"""How much each knob decided over being among the best trials: Optuna's PED-ANOVA, or "too few trials to say".

Watanabe, Bansal, Hutter 2023 (arXiv 2304.10255). Bars without a yardstick invite reading noise, so each comes with the
largest value that the same knob gets when the results are shuffled among the trials.
"""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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
    params = [entry for entry, _ in trials]
    found = _divergences(params, values.tolist(), maximize)
    generator = np.random.default_rng(0)
    shuffled = [_divergences(params, generator.permutation(values).tolist(), maximize) for _ in range(NUM_SHUFFLES)]
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
    from optuna.distributions import json_to_distribution

    try:
        distributions = {
            name: json_to_distribution(text if isinstance(text, str) else json.dumps(text))
            for name, text in declared.items()
        }
    except (ValueError, KeyError, TypeError):
        return None
    return _Params(values=values, distributions=distributions)


def _divergences(trials: list[_Params], objective: Sequence[float], maximize: bool) -> dict[str, float]:
    """PED-ANOVA on a study in memory; the log level of optuna is put back as it was."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        study.add_trials(
            optuna.create_trial(params=dict(trial.values), distributions=dict(trial.distributions), value=float(number))
            for trial, number in zip(trials, objective, strict=True)
        )
        evaluator = PedAnovaImportanceEvaluator(target_quantile=TARGET_QUANTILE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `normalize` is one
            return get_param_importances(study, evaluator=evaluator, normalize=False)
    finally:
        optuna.logging.set_verbosity(level)
