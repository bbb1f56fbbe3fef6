"""What in a run is not all of one kind: commits, package versions, machines, devices, data; in sentences."""

from collections import Counter
from collections.abc import Iterable

from markupsafe import Markup

from reports.contrast import arm_names, records_by_arm, study_seeds
from reports.foreign import arms_on_other_data
from reports.readable import plural
from reports.records import Record, Run, is_ablation

MAX_VALUES = 4
"""Values of one fact that a sentence lists."""
FACTS = ("python", "machine", "device", "threads", "processes")


def about_mixture(run: Run) -> list[Markup]:
    """That trials were made by several versions or on several machines, and what that leaves open."""
    marks = [made_with(record) for record in run.records]
    listed = []
    for fact in dict.fromkeys(fact for mark in marks for fact in mark):
        counts = Counter(mark[fact] for mark in marks if fact in mark)
        if len(counts) > 1:
            listed.append(f"{fact} {_values(counts)}")
    found = [Markup("{}.").format(text) for text in _about_data(run)]
    if not listed:
        return found
    text = "<strong>The trials are not all made alike</strong>: {}. A difference between trials of different versions "
    text += "or machines may be theirs, not the {}{}."
    pairs = _mixed_pairs(run) if is_ablation(run) else ""
    what = "arms'" if is_ablation(run) else "configurations'"
    return [Markup(text).format("; ".join(listed), what, pairs), *found]


def made_with(record: Record) -> dict[str, str]:
    """What can change a trial's numbers beside its specification, by name; what was not recorded is absent."""
    made = record["provenance"]
    found = {"commit": str(made["commit"])[:8]} if made.get("commit") else {}
    versions = made.get("versions")
    found |= {str(name): str(version) for name, version in (versions if isinstance(versions, dict) else {}).items()}
    if found:
        found["acceleration"] = ", ".join(map(str, made.get("acceleration") or ())) or "none"
    return found | {fact: str(made[fact]) for fact in FACTS if made.get(fact) is not None}


def _values(counts: Counter[str]) -> str:
    shown = [f"{value} ({plural(count, 'trial')})" for value, count in counts.most_common(MAX_VALUES)]
    more = f" and {len(counts) - MAX_VALUES} more" if len(counts) > MAX_VALUES else ""
    return ", ".join(shown) + more


def _mixed_pairs(run: Run) -> str:
    """How many seeds compare trials that were not made alike."""
    table, arms = records_by_arm(run.records), arm_names(run.study)
    seeds = study_seeds(run.records, run.study)
    mixed = sum(_differ(table[arm, seed] for arm in arms if (arm, seed) in table) for seed in seeds)
    return f"; inside a seed they were made alike but for {mixed} of {plural(len(seeds), 'seed')}"


def _differ(records: Iterable[Record]) -> bool:
    return len({tuple(sorted(made_with(record).items())) for record in records}) > 1


def _about_data(run: Run) -> list[str]:
    arms = arms_on_other_data(run.records, run.study) if is_ablation(run) else []
    if not arms:
        return []
    text = f"{', '.join(arms)} {'was' if len(arms) == 1 else 'were'} trained on other data than the first arm: what "
    return [text + "differs is not the arm alone"]
