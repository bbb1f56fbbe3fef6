"""A run folder as one page: index.html with figures inline, the same figures as PNG, the tables as CSV and JSON.

The page needs nothing beside itself: no script, no style sheet, no font, no network. It is written last.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import background, sections
from reports.ablation import (
    CONTRAST_COLUMNS,
    ablation_conclusions,
    ablation_headline,
    contrast_rows,
    contrast_table,
    contrast_task_table,
    rule,
)
from reports.contrast import Contrast, contrasts, margin_of
from reports.export import write_table
from reports.figures.contrast import ContrastInfo, contrast_info, draw_contrasts, task_contrast_info
from reports.figures.curves import curves_info, draw_curves
from reports.figures.front import draw_scatter, front_info, size_info
from reports.figures.importance import draw_importance, importance_info
from reports.figures.style import to_png, to_svg
from reports.findings import accuracy_of_teacher, conclusions, headline
from reports.importance import Importance, knob_importance
from reports.pareto import hypervolume
from reports.points import Point, chosen_by, points
from reports.readable import MISSING, big
from reports.records import (
    Run,
    baseline_of,
    find_measurement,
    majority_mean,
    majority_of,
    primary_tasks,
    read_run,
    teacher_of,
    value_of,
)
from reports.table import trial_table
from search.files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A figure on the page: the wide form, the one for a phone, and what both say in words."""

    wide: Markup
    narrow: Markup
    caption: str


def write_report(run_folder: Path, out: Path | None = None) -> Path:
    """Write the report of a run and return the path of its index.html.

    Args:
        run_folder: with study.json and trials/; files that cannot be read are listed on the page.
        out: where index.html, figures/ and tables/ go; the run folder itself when left out.

    Raises:
        ValueError: `run_folder` is no run folder.
        OSError: the files could not be written.
    """
    run = read_run(run_folder)
    target = run_folder if out is None else out
    found = points(list(run.records), baseline_of(run.study))
    judged = contrasts(run.records, run.study) if is_ablation(run) else ()
    importance = [] if is_ablation(run) else _importance(run)
    figures = _contrast_figures(run, judged, target / "figures")
    figures |= _figures(run, found, importance, target / "figures")
    _write_tables(run, found, importance, target / "tables")
    if is_ablation(run):
        write_table(target / "tables", "contrasts", contrast_rows(run, judged), CONTRAST_COLUMNS)
        context = _context(run, found, figures) | _ablation_context(run, found, judged)
    else:
        context = _context(run, found, figures) | _search_context(run, found, importance)
    environment = Environment(
        loader=PackageLoader("reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("page.html.jinja").render(context)
    path = target / "index.html"
    write_whole(path, page)
    return path


def is_ablation(run: Run) -> bool:
    """Whether the run compares arms instead of searching."""
    return run.study.get("kind") == "ablation"


def _context(run: Run, found: list[Point], figures: dict[str, Shown]) -> dict[str, Any]:
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
        "trials": sections.trial_listing(run),
        "failures": sections.failure_table(run),
        "provenance": background.provenance(run) if run.records else [],
        "figures": figures,
    }


def _search_context(run: Run, found: list[Point], importance: list[Importance]) -> dict[str, Any]:
    reference = _hypervolume_reference(run)
    area = hypervolume([(point.accuracy, point.latency_ratio) for point in found], reference)
    return {
        "headline": headline(run, found),
        "conclusions": conclusions(run, found),
        "front": sections.point_table([point for point in found if point.on_front or point.is_baseline]),
        "hypervolume": {"area": area, "reference": reference},
        "importance": importance,
    }


def _ablation_context(run: Run, found: list[Point], judged: tuple[Contrast, ...]) -> dict[str, Any]:
    return {
        "headline": ablation_headline(run, judged),
        "conclusions": ablation_conclusions(run, found, judged),
        "contrasts": contrast_table(judged),
        "rule": rule(run, judged),
        "task_contrasts": contrast_task_table(run, judged),
        "arms": sections.arm_table(found),
        "reasons": sections.reason_table(run),
    }


def _about_teacher(run: Run) -> str:
    teacher = teacher_of(run.study)
    size = value_of(teacher, "parameters")
    said = [teacher["fingerprint"] or MISSING, f"{big(size)} parameters" if size else ""]
    return ", ".join(part for part in said if part)


def _importance(run: Run) -> list[Importance]:
    records = list(run.records)
    return [
        knob_importance(records, "accuracy", chosen_by, maximize=True),
        knob_importance(records, "latency", lambda record: value_of(record, "latency_ratio"), maximize=False),
    ]


def _contrast_figures(run: Run, judged: tuple[Contrast, ...], folder: Path) -> dict[str, Shown]:
    made: dict[str, Shown] = {}
    infos: list[tuple[str, ContrastInfo, str]] = [
        ("contrast", contrast_info(judged, margin_of(run.study)), "Differences inside each seed"),
        ("task-contrast", task_contrast_info(judged), "Differences inside each seed, task by task"),
    ]
    for name, info, title in infos:
        if info.panels:
            both = [draw_contrasts(info, narrow=narrow, identity=name) for narrow in (False, True)]
            caption = (
                f"Each dot is one seed: the arm minus {info.baseline}, trained on the same data in the same order."
            )
            made[name.replace("-", "_")] = _shown(both, folder, name, title, caption)
    return made


def _figures(run: Run, found: list[Point], importance: list[Importance], folder: Path) -> dict[str, Shown]:
    teacher, mean = accuracy_of_teacher(teacher_of(run.study)), majority_mean(run)
    made: dict[str, Shown] = {}
    if found and not (is_ablation(run) and _same_encoder(run)):
        front = front_info(found, teacher=teacher, majority=mean, reference=_reference(run))
        both = [draw_scatter(front, narrow=narrow, identity="front") for narrow in (False, True)]
        made["front"] = _shown(both, folder, "front", "Accuracy against latency", _front_caption(run, found))
        size = size_info(found, teacher=teacher, majority=mean)
        if size.dots:
            both = [draw_scatter(size, narrow=narrow, identity="size") for narrow in (False, True)]
            caption = "Numbers are those of the front above: small models are not always fast ones."
            made["size"] = _shown(both, folder, "size", "Accuracy against parameters", caption)
    return made | _curves_figure(run, found, folder) | _importance_figure(importance, folder)


def _curves_figure(run: Run, found: list[Point], folder: Path) -> dict[str, Shown]:
    arms = is_ablation(run)
    curves = curves_info(list(run.records), found, everyone=arms)
    if not curves.panels:
        return {}
    both = [draw_curves(curves, narrow=narrow, identity="curves") for narrow in (False, True)]
    which = "trial; the first seed of each arm in colour" if arms else "trial of the search"
    caption = f"One line per {which}; phases of one stage are laid end to end."
    if curves.num_left_out:
        caption += f" {curves.num_left_out} of the other trials are not drawn."
    return {"curves": _shown(both, folder, "curves", "Learning curves", caption)}


def _importance_figure(importance: list[Importance], folder: Path) -> dict[str, Shown]:
    bars = importance_info(importance)
    if not bars.objectives:
        return {}
    both = [draw_importance(bars, narrow=narrow, identity="importance") for narrow in (False, True)]
    caption = "How differently each knob is set in the best quarter of the trials and in all of them."
    return {"importance": _shown(both, folder, "importance", "Importance of each knob", caption)}


def _same_encoder(run: Run) -> bool:
    """Whether all arms train one architecture, so that latency and size cannot differ."""
    return all(record["spec"]["student"] == run.records[0]["spec"]["student"] for record in run.records)


def _shown(both: list[Figure], folder: Path, name: str, title: str, caption: str) -> Shown:
    to_png(both[0], folder / f"{name}.png")
    wide, narrow = (
        Markup(to_svg(figure, f"{name}-{width}", title, caption))
        for figure, width in zip(both, ("wide", "narrow"), strict=True)
    )
    return Shown(wide=wide, narrow=narrow, caption=caption)


def _front_caption(run: Run, found: list[Point]) -> str:
    bars = "Bars are the recorded intervals"
    if any(point.num_seeds > 1 for point in found):
        bars += ", and over several seeds the lowest and the highest"
    caption = f"Each point is one configuration. {bars}."
    lost = sum(record["status"] != "complete" for record in run.records)
    if lost:
        caption += f" Not shown: {lost} that diverged or failed, for want of an accuracy."
    return caption


def _reference(run: Run) -> str:
    named = (find_measurement(record, "latency_ratio") for record in run.records)
    known = (item["conditions"].get("reference") for item in named if item)
    return str(next((name for name in known if name), "the reference model"))


def _hypervolume_reference(run: Run) -> tuple[float, float]:
    """No better than the majority class, as slow as the reference: fixed, so that runs on the same data compare."""
    return (majority_mean(run) or 0.0, 1.0)


def _write_tables(run: Run, found: list[Point], importance: list[Importance], folder: Path) -> None:
    frame = trial_table(list(run.records), baseline_of(run.study))
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
