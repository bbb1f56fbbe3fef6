"""Which item to take, with a cap on its latency or without: the most accurate one, and how far that can be trusted.

The probability that an item meets the cap: where several sessions timed it, that the median of a further session is
under the cap (Student's t on the logarithms of the sessions' medians, one further session's spread included); where one
did, that its median there is (a normal distribution on the logarithmic scale, as wide as the recorded interval).

Which of several items is best was chosen by the same data that tell them apart. So an item counts as told apart from
the chosen one only where the comparison's own verdict on the two says so, or the p that `joint.py` adjusts for all
pairs of items is at most 5 %.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

import numpy as np

from reports.comparison.joint import joint_p
from reports.comparison.latency import Timing, conditions_text, differing, timing
from reports.comparison.pairs import Pair, why_not_paired
from reports.comparison.subjects import Subject, printable
from reports.contrast import LEVEL
from reports.points import accuracy_of
from reports.readable import milliseconds, percent

_CAP = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(us|ms|s|)\s*")
_UNITS = {"us": 0.001, "ms": 1.0, "": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One item as a choice."""

    name: str
    accuracy: float | None
    """Mean over `num_seeds` seeds."""
    num_seeds: int
    timing: Timing
    probability: float | None
    """That it meets the cap; None without a cap and where no spread was recorded."""
    left_out: str
    """Why it cannot be chosen; empty where it can."""
    p: float | None
    """Of the difference from the chosen one, adjusted for all pairs; None for itself and where they are not paired."""
    is_told_apart: bool
    """From the chosen one, in accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to take."""

    cap_ms: float | None
    chosen: Candidate | None
    candidates: tuple[Candidate, ...]
    """All items, in the order given."""
    sentence: str


def parse_cap(text: str) -> float:
    """Milliseconds of a cap such as `20ms`, `0.5s` or `20`.

    Raises:
        ValueError: anything else, and a cap that is not above 0.

    >>> parse_cap("20ms"), parse_cap("0.5s"), parse_cap("20")
    (20.0, 500.0, 20.0)
    """
    found = _CAP.fullmatch(text)
    value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < value < math.inf:
        raise ValueError(f"--cap is a time above 0 such as 20ms, 0.5s or 20 (milliseconds), got {text!r}")
    return value


def choose(subjects: Sequence[Subject], cap_ms: float | None, pairs: Sequence[Pair] = ()) -> Choice:
    """The most accurate item under the cap, by the mean over the seeds that all items under it share.

    Args:
        subjects: all items.
        cap_ms: None for the most accurate one whatever its time.
        pairs: what was judged of them.
    """
    timings, reasons = _timed(subjects, cap_ms)
    able = [subject for subject, reason in zip(subjects, reasons, strict=True) if not reason]
    seeds = _shared_seeds(able)
    means = {subject.name: _mean(subject, seeds) for subject in subjects}
    best = max(able, key=lambda subject: means[subject.name][0] or -math.inf, default=None)
    p_values = _joint_p(able, seeds, best)
    candidates = []
    for subject, found, reason in zip(subjects, timings, reasons, strict=True):
        p = p_values.get(subject.name)
        told = best is not None and (_is_judged(pairs, best, subject) or (p is not None and p <= LEVEL))
        accuracy, count = means[subject.name]
        probability = None if cap_ms is None or found.ms is None else probability_under(found, cap_ms)
        candidates.append(
            Candidate(
                name=subject.name, accuracy=accuracy, num_seeds=count, timing=found, probability=probability,
                left_out=reason, p=p, is_told_apart=told,
            )
        )  # fmt: skip
    chosen = next((one for one in candidates if best is not None and one.name == best.name), None)
    sentence = _nothing(candidates, cap_ms) if chosen is None else _sentence(chosen, candidates, cap_ms)
    return Choice(cap_ms=cap_ms, chosen=chosen, candidates=tuple(candidates), sentence=printable(sentence))


def probability_under(found: Timing, cap_ms: float) -> float | None:
    """That the time is at most the cap, as the top of this file says; None where no spread was recorded."""
    cap = math.log(cap_ms)
    if len(found.session_ms) > 1:
        from scipy.special import stdtr

        logs = [math.log(ms) for ms in found.session_ms]
        error = stdev(logs) * math.sqrt(1 + 1 / len(logs))
        distance = cap - fmean(logs)
        return float(stdtr(len(logs) - 1, distance / error)) if error > 0 else float(distance >= 0)
    if found.ms is None or found.interval is None:
        return None
    error = math.log(found.interval[1] / found.interval[0]) / (2 * NormalDist().inv_cdf(1 - LEVEL / 2))
    distance = cap - math.log(found.ms)
    return NormalDist().cdf(distance / error) if error > 0 else float(distance >= 0)


def _timed(subjects: Sequence[Subject], cap_ms: float | None) -> tuple[list[Timing], list[str]]:
    """How long each takes, and why it cannot be chosen (empty where it can)."""
    timings = [timing(subject) for subject in subjects]
    reasons = [_left_out(subject, found, cap_ms) for subject, found in zip(subjects, timings, strict=True)]
    return timings, reasons if cap_ms is None else _other_conditions(timings, reasons)


def _left_out(subject: Subject, found: Timing, cap_ms: float | None) -> str:
    if not subject.records:
        return "it was not trained"
    if not _scores(subject):
        states = sorted({record["status"] for record in subject.records})
        return f"no accuracy ({', '.join(states)})"
    if cap_ms is None:
        return ""
    if found.ms is None:
        return found.reason
    return "" if found.ms <= cap_ms else f"its {milliseconds(found.ms)} ms are over the cap"


def _other_conditions(timings: Sequence[Timing], reasons: list[str]) -> list[str]:
    """Times under other conditions than those of the first item that was timed answer another question."""
    first = next((found for found in timings if found.ms is not None), None)
    if first is None:
        return reasons
    found = []
    for one, reason in zip(timings, reasons, strict=True):
        said = differing(first.conditions, one.conditions) if one.ms is not None and one is not first else ""
        found.append(reason or (f"its latency is of other conditions ({said})" if said else ""))
    return found


def _scores(subject: Subject) -> dict[int, float]:
    """Accuracy by seed, of complete trials."""
    return {
        seed: value
        for seed, record in subject.blocks.items()
        if record is not None and record["status"] == "complete" and (value := accuracy_of(record)) is not None
    }


def _shared_seeds(able: Sequence[Subject]) -> set[int]:
    """Seeds in which all of them have an accuracy; none where some two are not paired."""
    if not able or any(why_not_paired(able[0], other) for other in able[1:]):
        return set()
    return set.intersection(*(set(_scores(subject)) for subject in able))


def _mean(subject: Subject, seeds: set[int]) -> tuple[float | None, int]:
    """Over the shared seeds where there are some and it has them, else over its own."""
    scores = _scores(subject)
    kept = [scores[seed] for seed in seeds] if seeds and seeds <= set(scores) else list(scores.values())
    return (fmean(kept), len(kept)) if kept else (None, 0)


def _is_judged(pairs: Sequence[Pair], best: Subject, other: Subject) -> bool:
    """Whether the comparison itself calls one of the two better."""
    both = {best.name, other.name}
    found = [pair.accuracy for pair in pairs if {pair.subject.name, pair.against.name} == both]
    return any(one is not None and one.verdict in ("better", "worse") for one in found)


def _joint_p(able: Sequence[Subject], seeds: set[int], best: Subject | None) -> dict[str, float]:
    """By name, of every other item that can be chosen; none where they share no seeds."""
    if best is None or not seeds:
        return {}
    scores = [_scores(subject) for subject in able]
    found = joint_p(np.array([[one[seed] for seed in sorted(seeds)] for one in scores]))
    place = [subject.name for subject in able].index(best.name)
    return {one.name: float(found[place, other]) for other, one in enumerate(able) if other != place}


def _sentence(chosen: Candidate, candidates: Sequence[Candidate], cap_ms: float | None) -> str:
    others = [one for one in candidates if not one.left_out and one.name != chosen.name]
    seeds = "one seed" if chosen.num_seeds == 1 else f"mean of {chosen.num_seeds} seeds"
    score = f"{percent(chosen.accuracy)} % ({seeds})"
    if cap_ms is None:
        head = f"The most accurate of the items that were trained is {chosen.name}, with {score}"
        text = head if others else f"Only {chosen.name} was trained and scored here: {score}"
    else:
        text = f"Under a cap of {cap_ms:g} ms take {chosen.name}: with {score} it is "
        text += "the most accurate item that meets it" if others else "the only item known to meet it"
        text += f", at {milliseconds(chosen.timing.ms)} ms a pass ({conditions_text(chosen.timing.conditions)})"
        text += f"; {_chance(chosen)}"
    return f"{text}. {_alike(chosen, others)}".strip()


def _chance(chosen: Candidate) -> str:
    if chosen.probability is None:
        return "how likely that is cannot be said, its record has no interval"
    shown = f"{100 * chosen.probability:.1f}"
    shown = "more than 99.9" if shown == "100.0" else "less than 0.1" if shown == "0.0" else shown
    if chosen.timing.session_ms:
        return f"the probability that a further session finds it under the cap is {shown} %"
    return f"the probability that it was under the cap there is {shown} % (other sessions were not measured)"


def _alike(chosen: Candidate, others: Sequence[Candidate]) -> str:
    """Which items the data do not tell apart from the chosen one, and the fastest of them."""
    open_ones = [one for one in others if not one.is_told_apart]
    if not others:
        return ""
    if not open_ones:
        return "The paired seeds tell it apart from every other one that could be taken."
    names = ", ".join(one.name for one in open_ones[:4]) + (f" and {len(open_ones) - 4} more" * (len(open_ones) > 4))
    text = f"In accuracy the data do not tell it apart from {names}"
    faster = [one for one in open_ones if _is_faster(one, chosen)]
    if faster:
        quick = min(faster, key=lambda one: one.timing.ms or math.inf)
        text += f"; the fastest of these is {quick.name}, at {milliseconds(quick.timing.ms)} ms"
    return f"{text}."


def _is_faster(one: Candidate, chosen: Candidate) -> bool:
    if one.timing.ms is None or chosen.timing.ms is None:
        return False
    return one.timing.ms < chosen.timing.ms and not differing(one.timing.conditions, chosen.timing.conditions)


def _nothing(candidates: Sequence[Candidate], cap_ms: float | None) -> str:
    if cap_ms is None:
        return "None of these was trained and scored here, so nothing is recommended."
    known = [one for one in candidates if one.timing.ms is not None and one.accuracy is not None]
    if not known:
        return (
            f"No item has both an accuracy and a measured latency, so none is recommended under a cap of {cap_ms:g} ms."
        )
    over = [one for one in known if one.left_out.endswith("over the cap")]
    fastest = min(over or known, key=lambda one: one.timing.ms or math.inf)
    text = f"No item is known to meet a cap of {cap_ms:g} ms: the fastest, {fastest.name}, takes "
    text += f"{milliseconds(fastest.timing.ms)} ms a pass ({conditions_text(fastest.timing.conditions)})"
    if fastest.probability is None:
        return f"{text}."
    return f"{text}, under the cap with a probability of {100 * fastest.probability:.1f} %."
