"""A run folder as one page: index.html with figures inline, the same figures as PNG, the tables as CSV and JSON.

The page needs nothing beside itself: no script, no style sheet, no font, no network. It is written last.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports import background, sections
from reports.ablation import ablation_conclusions, ablation_headline, exploration, rule
from reports.capped import cap_text
from reports.claim_tables import CLAIM_COLUMNS, PART_COLUMNS, claim_rows, claim_table, part_rows, part_table
from reports.claim_text import claim_sentences, methods
from reports.contrast import Contrast, contrasts
from reports.contrast_tables import CONTRAST_COLUMNS, contrast_rows, contrast_table, contrast_task_table
from reports.export import write_table
from reports.findings import conclusions, counted, headline
from reports.form import cap_of
from reports.helper import Helper, helping
from reports.importance import Importance, run_importance
from reports.page_figures import Shown, ask, claim_pictures, contrast_pictures, importance_pictures, run_pictures, shown
from reports.paper_tables import our_table, paper_tables
from reports.pareto import hypervolume
from reports.points import Configurations, Point, configurations_of, points_of
from reports.readable import MISSING, big
from reports.reading import read_run
from reports.records import (
    Run,
    baseline_of,
    is_ablation,
    majority_mean,
    majority_of,
    primary_tasks,
    teacher_of,
    value_of,
)
from reports.table import trial_table
from reports.verdict import Verdict, verdicts
from search.files import write_whole

MANY_TRIALS = 200
"""From so many on a second process draws: to start one takes about a second of a core."""


def write_report(run_folder: Path, out: Path | None = None, *, in_book: bool = False) -> Path:
    """Write the report of a run and return the path of its index.html.

    Args:
        run_folder: with study.json and trials/; files that cannot be read are listed on the page.
        out: where index.html, figures/ and tables/ go; the run folder itself when left out.
        in_book: whether the page is one of a book, whose first page lies above `out`.

    Raises:
        ValueError: `run_folder` is no run folder.
        OSError: the files could not be written.
    """
    with helping_with([run_folder]) as helper:
        return write_page(read_run(run_folder), run_folder if out is None else out, helper, in_book=in_book)


def helping_with(run_folders: Sequence[Path]) -> AbstractContextManager[Helper]:
    """A second process for the figures of runs whose trials are many; one would be slower to start than to do without.

    To be entered before the runs are read: it imports what draws meanwhile.
    """
    num_trials = sum(1 for folder in run_folders for _ in (folder / "trials").glob("*.json"))
    return helping(num_trials >= MANY_TRIALS, "reports.page_figures", "seaborn")


def write_page(run: Run, target: Path, helper: Helper, *, in_book: bool = False) -> Path:
    """Write the report of a run that was read; arguments and errors are those of `write_report`.

    Args:
        helper: draws figures while tables are made, where it has a process.
    """
    with _set_aside():
        return _write_page(run, target, helper, in_book=in_book)


@contextmanager
def _set_aside() -> Iterator[None]:
    """No garbage is looked for in what was read, which stays: a second or more, where trials are many."""
    if gc.get_freeze_count():  # somebody else's, and not ours to undo
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _write_page(run: Run, target: Path, helper: Helper, *, in_book: bool) -> Path:
    known = configurations_of(run)
    found = points_of(run, known)
    asked = ask(run_pictures(run, found), helper)
    judged = contrasts(run.records, run.study) if is_ablation(run) else ()
    claims = verdicts(run)
    importance = [] if is_ablation(run) else run_importance(run)
    asked += ask([*contrast_pictures(run, judged), *importance_pictures(importance), *claim_pictures(claims)], helper)
    _write_tables(run, known, found, importance, target / "tables")
    if is_ablation(run):
        write_table(target / "tables", "contrasts", contrast_rows(run, judged), CONTRAST_COLUMNS)
        if claims:
            write_table(target / "tables", "claims", claim_rows(claims), CLAIM_COLUMNS)
            write_table(target / "tables", "claim-parts", part_rows(claims), PART_COLUMNS)
        context = _context(run, known, found) | _ablation_context(run, found, judged, claims)
    else:
        context = _context(run, known, found) | _search_context(run, found, importance)
    figures: dict[str, Shown] = shown(asked, target / "figures", helper)
    path = target / "index.html"
    write_whole(path, render("page.html.jinja", context | {"book": in_book, "figures": figures}))
    return path


def render(template: str, context: dict[str, Any]) -> str:
    """A template of this package, every text escaped."""
    environment = Environment(
        loader=PackageLoader("reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(context)


def _context(run: Run, known: Configurations, found: list[Point]) -> dict[str, Any]:
    """What the page of either kind shows."""
    study = run.study
    return {
        "run": run,
        "question": study.get("question") or MISSING,
        "scale": study.get("scale") or MISSING,
        "command": study.get("command") or "",
        "is_ablation": is_ablation(run),
        "tasks": sections.task_table(run, found),
        "teacher": _about_teacher(run),
        "without_classes": sorted(set(primary_tasks(run.records)) - set(majority_of(study))),
        "scaling": background.scaling_table(study),
        "data": background.data_tables(study),
        "trials": sections.trial_listing(run, known),
        "failures": sections.failure_table(run, known),
        "provenance": background.provenance(run, known.keys) if run.records else [],
    }


def _search_context(run: Run, found: list[Point], importance: list[Importance]) -> dict[str, Any]:
    reference = _hypervolume_reference(run)
    area = hypervolume([(point.accuracy, point.latency_ratio) for point in _under_cap(run, found)], reference)
    return {
        "headline": headline(run, found),
        "conclusions": conclusions(run, found),
        "front_title": _front_title(run, found),
        "front": sections.point_table([point for point in found if point.on_front or point.is_baseline]),
        "hypervolume": {"area": area, "reference": reference},
        "importance": importance,
    }


def _under_cap(run: Run, found: list[Point]) -> list[Point]:
    """The points that the front is chosen from: those under the cap, or all where there is none or nothing under it."""
    cap = cap_of(run.study)
    under = [point for point in found if cap is not None and point.latency_ms is not None and point.latency_ms <= cap]
    return under or found


def _front_title(run: Run, found: list[Point]) -> str:
    cap = cap_of(run.study)
    capped = cap is not None and any(point.latency_ms is not None and point.latency_ms <= cap for point in found)
    which = f"Of the configurations under {cap_text(cap)} ms those" if cap is not None and capped else "Configurations"
    return f"{which} that no other one beats in both accuracy and latency, and the baseline, fastest first"


def _ablation_context(
    run: Run, found: list[Point], judged: tuple[Contrast, ...], claims: tuple[Verdict, ...]
) -> dict[str, Any]:
    return {
        "headline": [*claim_sentences(claims), counted(run.records)] if claims else ablation_headline(run, judged),
        "claims": claim_table(claims),
        "claim_parts": part_table(claims),
        "methods": methods(claims),
        "paper": paper_tables(run),
        "ours": our_table(run),
        "conclusions": ablation_conclusions(run, found, judged),
        "contrasts": contrast_table(judged),
        "rule": exploration() if claims else rule(run, judged),
        "task_contrasts": contrast_task_table(run, judged),
        "arms": sections.arm_table(found),
        "reasons": sections.reason_table(run),
    }


def _about_teacher(run: Run) -> str:
    teacher = teacher_of(run.study)
    size = value_of(teacher, "parameters")
    said = [teacher["fingerprint"] or MISSING, f"{big(size)} parameters" if size else ""]
    return ", ".join(part for part in said if part)


def _hypervolume_reference(run: Run) -> tuple[float, float]:
    """No better than the majority class, as slow as the reference: fixed, so that runs on the same data compare."""
    return (majority_mean(run) or 0.0, 1.0)


def _write_tables(
    run: Run, known: Configurations, found: list[Point], importance: list[Importance], folder: Path
) -> None:
    frame = trial_table(list(run.records), baseline_of(run.study), known)
    trials: list[Any] = frame.to_dict("records")
    write_table(folder, "trials", trials, list(frame.columns))
    columns = [*Point.__slots__]
    write_table(folder, "points", [asdict(point) for point in found], columns)
    shown = [point for point in found if is_ablation(run) or point.on_front or point.is_baseline]
    write_table(folder, "tasks", sections.task_scores(run, shown), sections.TASK_COLUMNS)
    if is_ablation(run):
        return
    write_table(folder, "front", [asdict(point) for point in found if point.on_front], columns)
    knobs = [{"objective": result.objective, **asdict(knob)} for result in importance for knob in result.knobs]
    write_table(folder, "importance", knobs, ["objective", "knob", "divergence", "share", "chance"])
