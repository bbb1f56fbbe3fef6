"""An item against another one: what changed, the paired difference in every score, and the latency ratio.

Differences are taken inside a seed. Items of one run share what their study declares; items of different runs are
paired only where the seed's teacher, data and number of updates are the same. Verdicts are those of `contrast.py`, with
Holm over all pairs of the comparison; single tasks have intervals and no verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reports.comparison.latency import LatencyRatio, latency_ratio
from reports.comparison.subjects import Subject
from reports.contrast import (
    LEVEL,
    PRIMARY,
    Contrast,
    judge_contrasts,
    margin_of,
    measure_contrast,
    task_score,
    with_detectable,
)
from reports.form import scored_form
from reports.points import accuracy_of
from reports.records import Record, primary_metrics
from search.trial import Change, TrialSpec, changes, planned_updates
from search.values import from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One item against another."""

    subject: Subject
    against: Subject
    changes: tuple[Change, ...]
    """Fields of the two specs that differ, seeds left out; of the two students where one is no trial."""
    surroundings: tuple[str, ...]
    """What else differs in how their trials were made, such as `torch 2.12.0 -> 2.13.0`, the other one's first."""
    shared_seeds: tuple[int, ...]
    """Seeds that both have trials of, or were to have."""
    num_unshared: int
    """Seeds that only one of them has."""
    not_paired: str
    """Why their seeds are no pairs; empty where they are, and where one has no trials."""
    accuracy: Contrast | None
    """None where there is nothing to pair."""
    tasks: tuple[Contrast, ...]
    margin: float | None
    """The smallest difference that matters, in points, where both runs declare the same."""
    latency: LatencyRatio

    @property
    def is_trained(self) -> bool:
        """Whether both have trials."""
        return bool(self.subject.records and self.against.records)

    @property
    def is_same(self) -> bool:
        """Whether both are the very same trials with the same result (one trained anew may have another)."""
        marks = [
            {one["fingerprint"]: accuracy_of(one) for one in item.records} for item in (self.subject, self.against)
        ]
        return bool(marks[0]) and marks[0] == marks[1]


def make_pairs(matched: Sequence[tuple[Subject, Subject]]) -> tuple[Pair, ...]:
    """Every (item, the one it is held against), judged as one family.

    Args:
        matched: an item first, then what it is compared with.
    """
    made = [_pair(subject, against) for subject, against in matched]
    tested = [place for place, pair in enumerate(made) if pair.accuracy is not None and not pair.is_same]
    for margin in dict.fromkeys(made[place].margin for place in tested):
        # Each margin has its own rule, but Holm counts all pairs: the family is judged whole for each.
        family = [made[place].accuracy for place in tested]
        judged = judge_contrasts([one for one in family if one is not None], margin)
        for place, contrast in zip(tested, judged, strict=True):
            if made[place].margin == margin:
                made[place] = replace(made[place], accuracy=contrast)
    return tuple(made)


def without_seeds(value: Any) -> Any:
    """A spec without seeds, wherever they are in it."""
    if isinstance(value, Mapping):
        return {key: without_seeds(item) for key, item in value.items() if key != "seed"}
    return [without_seeds(item) for item in value] if isinstance(value, list) else value


def paired(subject: Subject, against: Subject, metric: str = PRIMARY) -> Contrast:
    """The paired difference in one score over the seeds that both have, not judged."""
    seeds = [seed for seed in against.blocks if seed in subject.blocks]
    table = {
        (one.name, seed): record
        for one in (against, subject)
        for seed, record in one.blocks.items()
        if record is not None
    }
    value = accuracy_of if metric == PRIMARY else task_score(metric)
    return measure_contrast(table, (against.name, subject.name), seeds, metric, value)


def why_not_paired(subject: Subject, against: Subject) -> str:
    """Why seeds of the two are no pairs: another teacher, data or number of updates, or accuracies of another form (of
    int8, say); empty for items of one run."""
    if subject.source is None or against.source is None or subject.source.folder == against.source.folder:
        return ""
    one, two = (scored_form(item.source.run.study) or "as trained" for item in (subject, against) if item.source)
    if one != two:
        return f"their accuracies are of other forms, {one} and {two}"
    for seed, record in subject.blocks.items():
        other = against.blocks.get(seed)
        if record is not None and other is not None and (reason := _unlike(record["spec"], other["spec"])):
            return reason
    return ""


def _pair(subject: Subject, against: Subject) -> Pair:
    shared = tuple(seed for seed in against.blocks if seed in subject.blocks)
    pair = Pair(
        subject=subject,
        against=against,
        changes=_changed(subject, against),
        surroundings=_surroundings(subject, against),
        shared_seeds=shared,
        num_unshared=len(set(subject.blocks) ^ set(against.blocks)),
        not_paired=why_not_paired(subject, against),
        accuracy=None,
        tasks=(),
        margin=_margin(subject, against),
        latency=latency_ratio(subject, against),
    )
    if not pair.is_trained or pair.not_paired:
        return pair
    metrics = primary_metrics([*against.records, *subject.records])
    tasks = tuple(paired(subject, against, metric) for metric in metrics)
    return replace(pair, accuracy=with_detectable(paired(subject, against), LEVEL), tasks=tasks)


def _changed(subject: Subject, against: Subject) -> tuple[Change, ...]:
    if subject.spec is None or against.spec is None:
        return changes(to_json(against.student), to_json(subject.student))
    return changes(without_seeds(against.spec), without_seeds(subject.spec))


def _unlike(spec: Record, other: Record) -> str:
    """What differs between two specs of one seed that must not; empty where nothing does."""
    for field, noun in (("data", "data"), ("teacher", "teachers"), ("ensemble", "further teachers")):
        one, two = spec.get(field) or None, other.get(field) or None
        if one == two:
            continue
        if one is None or two is None:
            return f"one has {noun}, the other none" if field != "teacher" else "one has a teacher, the other none"
        names = [change.field for change in changes(two, one)]
        return f"their {noun} differ in {', '.join(names[:3]) or 'number'}{', ...' if len(names) > 3 else ''}"
    if spec.get("recipe") == other.get("recipe"):
        return ""
    mine, theirs = _updates(spec), _updates(other)
    if mine is None or theirs is None:
        return "the number of updates of their recipes cannot be read"
    return "" if mine == theirs else f"their numbers of updates differ, {mine:,} and {theirs:,}"


def _updates(spec: Record) -> int | None:
    """Optimizer steps of the whole training; None for a spec of another version."""
    try:
        return planned_updates(from_json(TrialSpec, spec))
    except ValueError:
        return None


def _surroundings(subject: Subject, against: Subject) -> tuple[str, ...]:
    said = []
    for name in ("commit", "machine", "device", "python", "torch"):
        mine, theirs = _made(subject, name), _made(against, name)
        if mine and theirs and mine != theirs:
            said.append(f"{name} {'/'.join(theirs)} -> {'/'.join(mine)}")
    return tuple(said)


def _made(subject: Subject, name: str) -> list[str]:
    """Every value of one fact of how the trials were made; commits by their first digits."""
    found = set()
    for record in subject.records:
        versions = record["provenance"].get("versions")
        known = {**versions, **record["provenance"]} if isinstance(versions, dict) else record["provenance"]
        if known.get(name) is not None:
            found.add(str(known[name])[:8] if name == "commit" else str(known[name]))
    return sorted(found)


def _margin(subject: Subject, against: Subject) -> float | None:
    if subject.source is None or against.source is None:
        return None
    margins = {margin_of(one.run.study) for one in (subject.source, against.source)}
    return margins.pop() if len(margins) == 1 else None
