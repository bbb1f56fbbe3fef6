"""Each arm of an ablation against the first one, inside seeds (blocks), judged by a rule declared beforehand.

The rule, with the margin that the study declares as its smallest effect that matters: if the whole 95 % interval of the
mean paired difference lies within the margin, "no difference that matters"; else, if the sign-flip p, adjusted by Holm
over the arms, is at most 5 %, "better" or "worse"; else "cannot tell". Only accuracy is judged; tasks are exploratory.
A run that diverged or failed loses its pair, and the loss is reported with the contrast.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from reports.pareto import Interval
from reports.points import accuracy_of
from reports.records import Record, primary_metrics, value_of
from reports.sign_flip import MAX_EXACT, detectable_effect, holm, more_seeds_to_settle, sign_flip

LEVEL = 0.05
PRIMARY = "accuracy"
SMALLEST_NUM_PAIRS = 6
"""With fewer pairs no interval at 95 % is finite and no p reaches 5 % (2^(1 - 6) = 0.03)."""

NUM_TOGETHER = 2**20
"""Flips of all contrasts that are tested at once: 8 MiB."""

Verdict = Literal["better", "worse", "no difference that matters", "cannot tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostPair:
    """A seed that gives no difference, and why."""

    seed: int
    arm: str
    """The arm that has no value; the first one where both lack it."""
    reason: Literal["diverged", "failed", "not trained", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """An arm minus the first arm, in one metric (points)."""

    arm: str
    baseline: str
    metric: str
    """`accuracy`, or a task's such as `agreement/accuracy`."""
    seeds: tuple[int, ...]
    """Those with a value in both arms, in the order of `differences`."""
    differences: tuple[float, ...]
    lost: tuple[LostPair, ...]
    baseline_mean: float | None
    """Over the pairs, like `arm_mean` and `mean`; None where there is no pair."""
    arm_mean: float | None
    mean: float | None
    deviation: float | None
    """Standard deviation of the differences; None below two pairs."""
    interval: Interval
    """Of the mean, at 95 % or a little more; None below six pairs, where none is finite."""
    p: float | None
    p_holm: float | None
    """Adjusted over the arms; None for a task and where there is no pair."""
    detectable: float | None
    """The effect that these pairs detect with 80 % power, at Holm's strictest step; None where `why_not` says why."""
    why_not: str
    verdict: Verdict | None
    """None for a task, and where claims are judged instead."""
    more_seeds: int | None
    """Where the verdict is "cannot tell": about how many more would settle it; None where `forecast` says why."""
    forecast: str

    @property
    def num_pairs(self) -> int:
        """Seeds with a value in both arms."""
        return len(self.differences)

    def _repr_html_(self) -> str:
        """In a notebook: difference, interval, verdict."""
        from reports.notebook import contrast_html

        return contrast_html(self)


def contrasts(records: Sequence[Record], study: Record) -> tuple[Contrast, ...]:
    """Every arm after the first against it: on accuracy, then on each task's primary metric; arms in declared order.

    Empty where the study declares fewer than two arms; without verdicts where it declares claims.

    Args:
        records: trial files; each Optuna trial names its arm and its seed.
        study: study.json with `arms`, `seeds`, and `smallest_effect`.
    """
    arms, seeds, margin = arm_names(study), study_seeds(records, study), margin_of(study)
    table = records_by_arm(records)
    metrics = {PRIMARY: accuracy_of} | {metric: task_score(metric) for metric in primary_metrics(records)}
    paired = [
        _paired(table, (arms[0], arm), seeds, metric, value) for metric, value in metrics.items() for arm in arms[1:]
    ]
    measured = _tested(paired)
    found, tasks = measured[: len(arms[1:])], measured[len(arms[1:]) :]
    # Claims are the one family of verdicts: beside them the arms are exploration, like single tasks.
    judged = [with_detectable(one, LEVEL) for one in found] if study.get("claims") else judge_contrasts(found, margin)
    return (*judged, *(with_detectable(one, LEVEL) for one in tasks))


def arm_names(study: Record) -> list[str]:
    """The arms in declared order, the baseline of every contrast first."""
    listed = study.get("arms")
    entries = listed if isinstance(listed, list) else []
    return list(dict.fromkeys(str(entry["name"]) for entry in entries if isinstance(entry, dict) and entry.get("name")))


def margin_of(study: Record) -> float | None:
    """The smallest effect that matters, in points; None where none above 0 was declared."""
    value = study.get("smallest_effect")
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value) if value > 0 else None


def study_seeds(records: Sequence[Record], study: Record, count: int | None = None) -> list[int]:
    """The declared seeds; those of the records where none are declared.

    Args:
        count: only the first so many; where looks were declared and this is left out, those of the looks that are done
            (of the first one where none is).
    """
    listed = study.get("seeds")
    declared = [seed for seed in listed if isinstance(seed, int)] if isinstance(listed, list) else []
    looks, done = looks_of(study)
    if count is None and looks:
        count = looks[max(done, 1) - 1]
    return declared[:count] or sorted({seed for _, seed in records_by_arm(records)})


def looks_of(study: Record) -> tuple[tuple[int, ...], int]:
    """How many seeds each declared look has, and how many looks are done; () and 0 where none were declared."""
    listed, done = study.get("looks"), study.get("looks_done")
    looks = tuple(seeds for seeds in listed if isinstance(seeds, int)) if isinstance(listed, list) else ()
    return looks, min(done, len(looks)) if isinstance(done, int) else 0


def num_left_out(records: Sequence[Record], study: Record) -> int:
    """Trials in no contrast: of an arm or seed that the study does not declare, or superseded by a later trial."""
    arms, seeds = set(arm_names(study)), set(study_seeds(records, study))
    used = {id(record) for (arm, seed), record in records_by_arm(records).items() if arm in arms and seed in seeds}
    return len(records) - len(used)


def judge(p_holm: float, interval: Interval, mean: float, margin: float | None) -> Verdict:
    """The rule at the top of this file."""
    if margin is not None and interval is not None and -margin <= interval[0] and interval[1] <= margin:
        return "no difference that matters"
    if p_holm <= LEVEL:
        return "better" if mean > 0 else "worse"
    return "cannot tell"


def records_by_arm(records: Iterable[Record]) -> dict[tuple[str, int], Record]:
    """The record of each (arm, seed); of several, that of the latest Optuna trial."""
    placed = []
    for record in records:
        for trial in record["trials"]:
            params = trial.get("params") if isinstance(trial.get("params"), dict) else {}
            seed = params.get("seed", record["spec"].get("seed"))
            number = trial.get("number")
            if trial.get("arm") and isinstance(seed, int):
                placed.append((number if isinstance(number, int) else -1, (str(trial["arm"]), seed), record))
    return {place: record for _, place, record in sorted(placed, key=lambda entry: entry[0])}


def task_score(metric: str) -> Callable[[Record], float | None]:
    def score(record: Record) -> float | None:
        return value_of(record, metric, "test")

    return score


def measure_contrast(
    table: dict[tuple[str, int], Record],
    arms: tuple[str, str],
    seeds: Sequence[int],
    metric: str,
    value: Callable[[Record], float | None],
) -> Contrast:
    """The pairs of one contrast with its test, not yet judged."""
    return _tested([_paired(table, arms, seeds, metric, value)])[0]


def _paired(
    table: dict[tuple[str, int], Record],
    arms: tuple[str, str],
    seeds: Sequence[int],
    metric: str,
    value: Callable[[Record], float | None],
) -> Contrast:
    """The pairs of one contrast and their means."""
    pairs: dict[int, tuple[float, float]] = {}
    lost = []
    for seed in seeds:
        values: list[float] = []
        for arm in arms:
            record = table.get((arm, seed))
            number = value(record) if record is not None and record["status"] == "complete" else None
            if number is None:
                lost.append(LostPair(seed=seed, arm=arm, reason=loss_reason(record)))
                break
            values.append(number)
        else:
            pairs[seed] = (values[0], values[1])
    differences = tuple(arm - base for base, arm in pairs.values())
    return Contrast(
        arm=arms[1], baseline=arms[0], metric=metric, seeds=tuple(pairs), differences=differences, lost=tuple(lost),
        baseline_mean=fmean(base for base, _ in pairs.values()) if pairs else None,
        arm_mean=fmean(arm for _, arm in pairs.values()) if pairs else None,
        mean=fmean(differences) if pairs else None,
        deviation=float(np.std(differences, ddof=1)) if len(differences) > 1 else None,
        interval=None, p=None, p_holm=None, detectable=None, why_not="", verdict=None, more_seeds=None, forecast="",
    )  # fmt: skip


def _tested(paired: Sequence[Contrast]) -> list[Contrast]:
    """With p and interval where there is a pair, in their order; those of as many pairs are tested together."""
    found = dict(enumerate(paired))
    for count in sorted({contrast.num_pairs for contrast in paired} - {0}):
        places = [place for place, contrast in found.items() if contrast.num_pairs == count]
        size = max(1, NUM_TOGETHER >> min(count, MAX_EXACT))
        for start in range(0, len(places), size):
            some = places[start : start + size]
            tested = sign_flip(np.array([paired[place].differences for place in some]), LEVEL)
            ends = zip(tested.low.tolist(), tested.high.tolist(), tested.p.tolist(), strict=True)
            for place, (low, high, p) in zip(some, ends, strict=True):
                found[place] = replace(paired[place], interval=(low, high) if math.isfinite(low) else None, p=p)
    return list(found.values())


def loss_reason(record: Record | None) -> Literal["diverged", "failed", "not trained", "not measured"]:
    """Why an arm has no value at a seed, from the record that is there or missing."""
    if record is None:
        return "not trained"
    if record["status"] == "complete":
        return "not measured"
    return "diverged" if record["status"] == "diverged" else "failed"


def judge_contrasts(found: list[Contrast], margin: float | None) -> list[Contrast]:
    """Accuracy contrasts with verdicts; an arm without pairs counts in the family all the same."""
    if not found:
        return []
    adjusted = holm(np.array([1.0 if contrast.p is None else contrast.p for contrast in found]))
    strictest = LEVEL / len(found)
    judged = []
    for contrast, p_holm in zip(found, adjusted.tolist(), strict=True):
        if contrast.mean is None:
            forecast = "no forecast without a pair"
            judged.append(replace(with_detectable(contrast, strictest), verdict="cannot tell", forecast=forecast))
            continue
        verdict = judge(p_holm, contrast.interval, contrast.mean, margin)
        judged.append(replace(with_detectable(contrast, strictest), p_holm=p_holm, verdict=verdict))
    return [_with_forecast(contrast, margin, strictest) for contrast in judged]


def with_detectable(contrast: Contrast, level: float) -> Contrast:
    if contrast.deviation is None:
        return replace(contrast, why_not="needs at least two pairs")
    if contrast.deviation == 0:
        return replace(contrast, why_not="the differences do not vary")
    found = detectable_effect(contrast.deviation, contrast.num_pairs, level)
    why_not = "" if found is not None else f"none: too few pairs for any p of {level:.2g}"
    return replace(contrast, detectable=found, why_not=why_not)


def _with_forecast(contrast: Contrast, margin: float | None, level: float) -> Contrast:
    if contrast.verdict != "cannot tell" or contrast.mean is None:
        return contrast
    if contrast.deviation is None:
        return replace(contrast, forecast="no forecast from one pair")
    more = more_seeds_to_settle(contrast.mean, contrast.deviation, contrast.num_pairs, margin, level)
    if more is None:
        return replace(contrast, forecast="more than 64 more seeds")
    return replace(contrast, more_seeds=more, forecast=f"about {more} more seed{'' if more == 1 else 's'}")
