"""Items that a run folder holds: a trial, an arm with all its seeds, the point of a search to decide on, all arms."""

import difflib
import math
from collections.abc import Sequence
from pathlib import Path

from reports.comparison.subjects import Group, Source, Subject, encoder_of, printable, student_of
from reports.contrast import arm_names, records_by_arm, study_seeds
from reports.points import Point, chosen_by, points_of
from reports.reading import read_run
from reports.records import Record, is_ablation
from search.fingerprint import fingerprint


def read_whole(folder: Path, sources: dict[Path, Source]) -> Group:
    """All arms of an ablation, or the point of a search that stands for it.

    Raises:
        ValueError: no run folder, no trial, or no point with accuracy and latency.
    """
    source = open_run(folder, sources)
    name = printable(folder.resolve().name)
    if not source.run.records:
        raise ValueError(f"a run needs a trial to be compared, got {name} without any; run it first")
    if is_ablation(source.run):
        arms = [arm for arm in arm_names(source.run.study) if _arm_records(source, arm)]
        return Group(name=name, subjects=tuple(_arm(source, arm) for arm in arms), is_ablation=True)
    return Group(name=name, subjects=(_decision_point(source, name),))


def read_part(folder: Path, wanted: str, sources: dict[Path, Source]) -> Subject:
    """The arm that is called so, else the trial whose fingerprint begins so.

    Raises:
        ValueError: none, several, or a trial whose student is no encoder.
    """
    source = open_run(folder, sources)
    arms = arm_names(source.run.study) if is_ablation(source.run) else []
    if wanted in arms and _arm_records(source, wanted):
        return _arm(source, wanted)
    trials = source.run.records
    matching = [record for record in trials if wanted and record["fingerprint"].startswith(wanted)]
    if len(matching) == 1:
        return _trial(source, matching[0])
    if wanted in arms:
        raise ValueError(f"an arm needs a trial to be compared, got {wanted!r} of {folder.name} without any")
    near = difflib.get_close_matches(wanted, arms, n=3, cutoff=0.3) or arms
    if near and not matching:
        raise ValueError(
            f"behind {folder.name}: stands an arm or the first digits of a fingerprint, got {wanted!r}; the nearest "
            f"arms are {', '.join(map(printable, near))}"
        )
    raise ValueError(_ambiguous(folder, wanted, matching, trials))


def open_run(folder: Path, sources: dict[Path, Source]) -> Source:
    """A run with its measuring sessions, read once. Raises ValueError where the folder is no run."""
    place = folder.resolve()
    if place not in sources:
        sources[place] = Source(folder=place, run=read_run(folder, sessions=True))
    return sources[place]


def _ambiguous(folder: Path, wanted: str, matching: Sequence[Record], trials: Sequence[Record]) -> str:
    listed = [record["fingerprint"] for record in matching or trials]
    more = ", ..." if len(listed) > 5 else ""
    count = "several" if matching else "none"
    return (
        f"a fingerprint must name one trial of {folder.name}, got {wanted!r}, which names {count}; "
        f"{'matching' if matching else 'there'} are {', '.join(listed[:5]) or 'no trials'}{more}"
    )


def _trial(source: Source, record: Record) -> Subject:
    mark = record["fingerprint"]
    student = encoder_of(record["spec"]["student"], place=f"trial file {mark}.json")
    return Subject(
        name=printable(f"{source.folder.name}:{mark[:8]}"),
        kind="trial",
        student=student,
        encoder=_declared_encoder(source, record) or fingerprint(student),
        source=source,
        blocks={_seed(record): record},
    )


def _arm(source: Source, arm: str) -> Subject:
    """An arm with the declared seeds (of the looks that are done), those that were not trained included."""
    table = records_by_arm(source.run.records)
    blocks = {seed: table.get((arm, seed)) for seed in study_seeds(source.run.records, source.run.study)}
    first = _arm_records(source, arm)[0]
    student = student_of(first["spec"]["student"], place=f"trial file {first['fingerprint']}.json")
    return Subject(
        name=printable(f"{source.folder.name}:{arm}"),
        kind="arm",
        student=student,
        encoder=_encoder_of_arm(source, arm) or fingerprint(student),
        source=source,
        blocks=blocks,
        arm=printable(arm),
    )


def _decision_point(source: Source, name: str) -> Subject:
    """The point of the front that the search itself would choose: the most accurate on what it saw, not on test."""
    records = {record["fingerprint"]: record for record in source.run.records}
    members = [point for point in points_of(source.run) if point.on_front]
    if not members:
        raise ValueError(f"a search stands for a point of its front, got {name}, which has none; name RUN:FINGERPRINT")

    def seen(point: Point) -> tuple[float, float]:
        return chosen_by(records[point.fingerprints[0]]) or -math.inf, -point.latency_ratio

    chosen = max(members, key=seen)
    trials = [records[mark] for mark in chosen.fingerprints]
    student = encoder_of(trials[0]["spec"]["student"], place=f"trial file {chosen.fingerprints[0]}.json")
    return Subject(
        name=printable(name),
        kind="point of a search",
        student=student,
        encoder=fingerprint(student),
        source=source,
        blocks={_seed(record): record for record in trials},
        note=printable(f"{chosen.name}: the most accurate of {len(members)} on the front, by what the search saw"),
    )


def _arm_records(source: Source, arm: str) -> list[Record]:
    table = records_by_arm(source.run.records)
    seeds = study_seeds(source.run.records, source.run.study)
    return [table[arm, seed] for seed in seeds if (arm, seed) in table]


def _seed(record: Record) -> int:
    seed = record["spec"].get("seed")
    return seed if isinstance(seed, int) else 0


def _declared_encoder(source: Source, record: Record) -> str:
    arms = [str(trial["arm"]) for trial in record["trials"] if trial.get("arm")]
    return _encoder_of_arm(source, arms[0]) if arms else ""


def _encoder_of_arm(source: Source, arm: str) -> str:
    listed = source.run.study.get("arms")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return next((str(entry.get("encoder") or "") for entry in entries if entry.get("name") == arm), "")
