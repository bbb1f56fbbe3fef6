"""What a run says, in sentences with names escaped: the headline, and what can and cannot be concluded from it."""

from collections import Counter
from collections.abc import Iterable
from statistics import fmean

from markupsafe import Markup

from reports.capped import about_cap, about_surety
from reports.deployed import about_form
from reports.mixed import about_mixture
from reports.points import Point, validation_accuracy
from reports.predicted import about_prediction, about_second_session
from reports.readable import percent, plural, ratio
from reports.records import Record, Run, find_measurement, interval_of, majority_of, value_of

NEAR_BEST_POINTS = 1.0
"""How far below the best accuracy the recommended faster configuration may be."""
SEEDS_FOR_A_VERDICT = 6
"""Paired seeds below which the exact sign-flip test cannot reach 5 % (2^(1 - 6) = 0.03)."""
NO_FRONT = "No trial has both an accuracy and a latency, so there is no front to show."


def headline(run: Run, points: list[Point]) -> list[Markup]:
    """The answer first: how many trials, the best configuration, a faster one nearly as good, and the baseline."""
    sentences = [counted(run.records), *about_cap(run, points)]
    members = [point for point in points if point.on_front]
    if not members:
        if run.records:
            sentences.append(Markup(NO_FRONT))
        return sentences
    if len(points) == 1:
        text = "One configuration was measured, <strong>{}</strong>: {} % at {} x the latency of the reference. "
        only = points[0]
        text += "There is nothing to compare it with yet."
        return [*sentences, Markup(text).format(only.name, percent(only.accuracy), ratio(only.latency_ratio))]
    return [*sentences, *_best(members), *_against_baseline(points)]


def counted(records: Iterable[Record]) -> Markup:
    """How many trials there are, by status and role."""
    listed = list(records)
    if not listed:
        return Markup("This run has no trials yet.")
    status = Counter(record["status"] for record in listed)
    confirmations = sum(record.get("role") == "confirmation" for record in listed)
    parts = [f"{status[name]:,} {name}" for name in ("complete", "diverged", "failed") if status[name]]
    text = f"{plural(len(listed), 'trial')}: {', '.join(parts)}."
    if confirmations:
        verb = "trains" if confirmations == 1 else "train"
        text += f" {confirmations:,} of them {verb} front configurations again with fresh seeds."
    return Markup(text)


def _best(members: list[Point]) -> list[Markup]:
    best = max(members, key=lambda point: (point.accuracy, -point.latency_ratio))
    number = plural(len(members), "configuration")
    which = f"The most accurate of the {number}" if len(members) > 1 else "The only configuration"
    text = "{} on the front, <strong>{}</strong>, reaches {} % at {} x the reference's latency"
    first = Markup(text).format(which, best.name, percent(best.accuracy), ratio(best.latency_ratio))
    near = [point for point in members if point.accuracy >= best.accuracy - NEAR_BEST_POINTS and point != best]
    fast = min(near, key=lambda point: point.latency_ratio, default=None)
    if fast is None or fast.latency_ratio >= best.latency_ratio:
        return [first + Markup("; no faster one comes within {:g} point of it.").format(NEAR_BEST_POINTS)]
    text = "; the fastest within {:g} point of it, <strong>{}</strong>, reaches {} % at {} x."
    second = Markup(text).format(NEAR_BEST_POINTS, fast.name, percent(fast.accuracy), ratio(fast.latency_ratio))
    return [first + second]


def _against_baseline(points: list[Point]) -> list[Markup]:
    base = next((point for point in points if point.is_baseline), None)
    if base is None:
        return [Markup("The baseline itself has no complete trial in this run.")]
    # By the search's seed: a mean over fresh seeds against single seeds would favour those that were not trained again.
    better = sum(
        point.search_accuracy > base.search_accuracy and point.latency_ratio < base.latency_ratio for point in points
    )
    place = "is on the front" if base.on_front else "is not on the front"
    text = "The baseline reaches {} % at {} x and {}; {} measured both faster and more accurate{}."
    others = plural(better, "configuration") if better else "no configuration"
    seed = " at the search's seed" if base.num_seeds > 1 else ""
    return [Markup(text).format(percent(base.accuracy), ratio(base.latency_ratio), place, others, seed)]


def conclusions(run: Run, points: list[Point]) -> list[Markup]:
    """What may be believed, most important first; empty for a run without trials."""
    if not run.records:
        return []
    members = [point for point in points if point.on_front]
    found = [*_about_seeds(members), *_about_doubt(members), *_about_split(run), *about_divergence(run)]
    found += [*about_files(run), *about_mixture(run), *about_form(run), *about_surety(run, points)]
    found += [*about_prediction(run), *about_second_session(run)]
    return [*found, *about_majority(run, members), *about_latency(run), *about_scale(run)]


def _about_seeds(members: list[Point]) -> list[Markup]:
    if not members:
        return []
    several = [point for point in members if point.num_seeds > 1]
    if not several:
        text = (
            "<strong>One seed.</strong> Every accuracy here comes from a single training, so nothing follows beyond a "
            "shortlist: the front names configurations worth training again, it does not rank them."
        )
        return [Markup(text)]
    fewest, most = min(point.num_seeds for point in members), max(point.num_seeds for point in members)
    seeds = f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"
    text = f"<strong>{seeds}</strong> per front configuration; the accuracy shown is their mean, with the lowest and "
    text += "the highest. "
    if fewest < SEEDS_FOR_A_VERDICT:
        text += f"A verdict on a difference needs at least {SEEDS_FOR_A_VERDICT} paired seeds, so this is a shortlist. "
    fall = fmean(point.search_accuracy - _fresh_mean(point) for point in several)
    word = "above" if fall >= 0 else "below"
    text += f"The seed by which the search chose them was on average {abs(fall):.1f} points {word} the fresh seeds"
    return [Markup(text + (" (the winner's curse)." if fall > 0 else "."))]


def _fresh_mean(point: Point) -> float:
    """Mean of the seeds other than the search's own."""
    return (point.accuracy * point.num_seeds - point.search_accuracy) / (point.num_seeds - 1)


def _about_doubt(members: list[Point]) -> list[Markup]:
    if len(members) < 2:
        return []
    doubtful = sum(point.in_doubt for point in members)
    found = []
    if doubtful:
        text = "{} of {} front points overlap a neighbour in the interval of accuracy or of latency: "
        found.append(Markup(text + "their order could be noise.").format(doubtful, len(members)))
    missing = sum(point.accuracy_interval is None for point in members)
    if missing:
        text = "For {} of {} front points no interval of the accuracy was recorded, so the doubt above is understated."
        found.append(Markup(text).format(missing, len(members)))
    return found


def _about_split(run: Run) -> list[Markup]:
    validated = any(validation_accuracy(record) is not None for record in run.records)
    if not validated or not any(value_of(record, "accuracy", "test") is not None for record in run.records):
        return []
    text = "The search chose by the validation split; the numbers shown are of the test split, read once. "
    return [Markup(text + "So a front point may lie below a faster one.")]


def about_divergence(run: Run) -> list[Markup]:
    """Trials that have no result, and what that means."""
    diverged = sum(record["status"] == "diverged" for record in run.records)
    failed = sum(record["status"] == "failed" for record in run.records)
    found = []
    if diverged:
        text = "{} diverged: no accuracy, in no figure, listed below. At another learning rate they might not have."
        found.append(Markup(text).format(plural(diverged, "trial").capitalize()))
    if failed:
        text = "{} failed for reasons outside the model and says nothing about it."
        found.append(Markup(text).format(plural(failed, "trial").capitalize()))
    return found


def about_files(run: Run) -> list[Markup]:
    """That files of the run are in no number."""
    if not run.problems:
        return []
    verb = "is" if len(run.problems) == 1 else "are"
    text = "{} of this run could not be used and {} listed above: what they hold is missing from every number here."
    return [Markup(text).format(plural(len(run.problems), "file").capitalize(), verb)]


def about_majority(run: Run, members: list[Point]) -> list[Markup]:
    """Tasks on which the best of `members` is not clearly above the majority class."""
    majority = majority_of(run.study)
    best = max(members, key=lambda point: point.accuracy, default=None)
    record = next((r for r in run.records if best and r["fingerprint"] == best.fingerprints[0]), None)
    if record is None or not majority:
        return []
    below = []
    for item in record["measurements"]:
        task = item["metric"].rpartition("/")[0]
        is_test = item["conditions"].get("split", "test") == "test" and item["conditions"].get("primary", True)
        if task not in majority or not is_test:
            continue
        low = interval_of(record, item["metric"], "test")
        if (low[0] if low else float(item["value"])) <= majority[task]:
            below.append(task)
    if not below:
        return []
    text = "On {} the most accurate configuration is not clearly above always answering the most frequent class."
    return [Markup(text).format(", ".join(dict.fromkeys(below)))]


def about_latency(run: Run) -> list[Markup]:
    """Where latency was measured."""
    measured = next((m for r in run.records if (m := find_measurement(r, "latency_ratio"))), None)
    if measured is None:
        return []
    known = measured["conditions"]
    listed = [f"{name} {known[name]}" for name in ("runtime", "device", "threads", "batch", "length") if name in known]
    text = "Latency is of one machine ({}), as a ratio to the reference ({}) measured in the same session. Another "
    text += "device, runtime or batch size may order the configurations differently."
    return [Markup(text).format(", ".join(listed) or "conditions not recorded", known.get("reference", "not named"))]


def about_scale(run: Run) -> list[Markup]:
    """That sizes are not the paper's."""
    if not isinstance(run.study.get("scaling"), list) or not run.study["scaling"]:
        return []
    return [
        Markup(
            "Sizes and training are scaled down (table below); whether it carries over to the paper's sizes is open."
        )
    ]


def accuracy_of_teacher(teacher: Record) -> float | None:
    """The teacher's mean accuracy on the test split, or the only one recorded."""
    tested = value_of(teacher, "accuracy", "test")
    return value_of(teacher, "accuracy") if tested is None else tested
