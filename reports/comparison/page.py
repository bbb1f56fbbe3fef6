"""An answer as one page for someone who has to decide: the recommendation first, then what it rests on.

The page needs nothing beside itself, no script among other things, and prints on one sheet where items are few.
"""

from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from reports.cleaning import clean
from reports.comparison.answer import Answer
from reports.comparison.choice import choose
from reports.comparison.latency import conditions_text
from reports.comparison.pairs import Pair
from reports.comparison.subjects import Subject, printable
from reports.comparison.tables import candidate_table, change_lines, pair_table, task_table
from reports.comparison.text import limits
from reports.contrast_tables import lost_text
from reports.figures.contrast import contrast_info, draw_contrasts
from reports.figures.style import to_svg
from reports.page import render
from reports.page_figures import Shown
from reports.records import primary_tasks
from search.files import write_whole

MAX_CHANGES = 6
"""Of a pair that are named on the page."""


def write_recommendation(answer: Answer, path: Path, command: str) -> None:
    """Write the page.

    Args:
        answer: of one item or several.
        path: of the page.
        command: that gives it again; absolute paths are shortened.

    Raises:
        OSError: it could not be written.
    """
    if answer.choice is None:
        answer = replace(answer, choice=choose(answer.subjects, None))
    assert answer.choice is not None
    context = {
        "runs": list(dict.fromkeys(one.source.folder.name for one in answer.subjects if one.source)),
        "names": [subject.name for subject in answer.subjects],
        "recommendation": answer.choice.sentence,
        "sentences": answer.sentences,
        "candidates": candidate_table(answer),
        "pairs": pair_table(answer.pairs),
        "against": _base(answer.pairs) if answer.pairs else "",
        "tasks": task_table(answer.pairs),
        "plot": _plot(answer.pairs),
        "limits": limits(answer.pairs),
        "changes": change_lines(answer.pairs, MAX_CHANGES),
        "not_measured": not_measured(answer),
        "command": clean(command),
        "fingerprints": [(subject.name, _marks(subject)) for subject in answer.subjects if subject.blocks],
    }
    write_whole(path, render("recommendation.html.jinja", context))


def not_measured(answer: Answer) -> list[str]:
    """What the page says nothing of: numbers that are missing, and what nobody asked."""
    assert answer.choice is not None
    found = []
    for one in answer.choice.candidates:
        missing = [] if one.accuracy is not None else ["its accuracy"]
        missing += [] if one.timing.ms is not None else ["its latency"]
        reasons = [one.left_out if one.accuracy is None else "", one.timing.reason]
        if missing:
            why = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
            found.append(f"{one.name}: {' and '.join(missing)} ({why}).")
    for pair in answer.pairs:
        found += _missing_of(pair)
    found += [f"{name}: no counterpart in the other run." for name in answer.unmatched]
    found += [f"A file that could not be used, {problem}." for problem in answer.problems]
    return [printable(line) for line in (*found, *_open(answer))]


def _missing_of(pair: Pair) -> list[str]:
    found, names = [], f"{pair.subject.name} against {pair.against.name}"
    if pair.not_paired:
        found.append(f"{names}: the paired difference; {pair.not_paired}.")
    if pair.accuracy is not None and pair.accuracy.lost:
        found.append(f"{names}: {lost_text(pair.accuracy.lost)}.")
    gone = [one.metric for one in pair.tasks if not one.num_pairs]
    if gone:
        found.append(f"{names}: no seed has {', '.join(gone)} in both.")
    if pair.latency.reason and pair.is_trained:
        found.append(f"{names}: the latency ratio; {pair.latency.reason}.")
    return found


def _open(answer: Answer) -> list[str]:
    """What lies outside these measurements altogether."""
    assert answer.choice is not None
    timed = [one.timing.conditions for one in answer.choice.candidates if one.timing.ms is not None]
    found = []
    if timed:
        cases = dict.fromkeys(
            conditions_text(known) + (f", {known['machine']}" if "machine" in known else "") for known in timed
        )
        found.append(
            f"Times are medians of one forward pass ({'; '.join(cases)}). Slowest passes, other devices, runtimes and "
            "batch sizes, memory and energy were not measured."
        )
    tasks = primary_tasks([record for subject in answer.subjects for record in subject.records])
    if tasks:
        found.append(f"Accuracy is of these tasks alone: {', '.join(tasks)}. On others the order may be another.")
    return found or ["Nothing was trained or timed: sizes are counted from the architecture."]


def _plot(pairs: tuple[Pair, ...]) -> Shown | None:
    """The paired differences of all pairs, on a wide figure and on one for a phone."""
    contrasts = [
        replace(pair.accuracy, arm=pair.subject.name, baseline=_base(pairs))
        for pair in pairs
        if pair.accuracy is not None and pair.accuracy.num_pairs and not pair.is_same
    ]
    if not contrasts:
        return None
    margins = {pair.margin for pair in pairs if pair.accuracy is not None}
    info = contrast_info(contrasts, margins.pop() if len(margins) == 1 else None)
    title, caption = "Differences inside each seed", f"Each dot is one seed: the item minus {_base(pairs)}."
    wide, narrow = (
        Markup(to_svg(draw_contrasts(info, narrow=small, identity="pairs"), f"pairs-{name}", title, caption))
        for name, small in (("wide", False), ("narrow", True))
    )
    return Shown(wide=wide, narrow=narrow, caption=caption)


def _base(pairs: tuple[Pair, ...]) -> str:
    """What all are held against, or the run whose arms they are held against."""
    names = list(dict.fromkeys(pair.against.name for pair in pairs))
    source = pairs[0].against.source
    return names[0] if len(names) == 1 or source is None else f"the same arm of {source.folder.name}"


def _marks(subject: Subject) -> str:
    listed = [
        f"{seed} {'not trained' if record is None else record['fingerprint']}"
        for seed, record in sorted(subject.blocks.items())
    ]
    return ", ".join(listed)
