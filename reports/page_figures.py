"""The figures of a page with their captions, each for two widths; knows nothing of where on the page they stand."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from reports.contrast import Contrast, margin_of
from reports.figures.claims import claims_info, draw_claims
from reports.figures.contrast import ContrastInfo, contrast_info, draw_contrasts, task_contrast_info
from reports.figures.curves import curves_info, draw_curves
from reports.figures.front import draw_scatter, front_of, size_of
from reports.figures.importance import draw_importance, importance_info
from reports.figures.style import to_png, to_svg
from reports.importance import Importance
from reports.points import Point
from reports.readable import plural
from reports.records import Run, is_ablation
from reports.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A figure on the page: the wide form, the one for a phone, and what both say in words."""

    wide: Markup
    narrow: Markup
    caption: str


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
            if info.num_left_out:
                caption += f" {plural(info.num_left_out, 'further arm')} not drawn; the table has all."
            made[name.replace("-", "_")] = _shown(both, folder, name, title, caption)
    return made


def claims_figure(verdicts: tuple[Verdict, ...], folder: Path) -> dict[str, Shown]:
    """The figure of the claims; none where no claim has a difference."""
    panels = claims_info(verdicts)
    if not panels:
        return {}
    both = [draw_claims(panels, narrow=narrow, identity="claims") for narrow in (False, True)]
    caption = "Each claim by the part that decides it: its difference in every seed or session, the mean, its interval "
    caption += "at the level at which the claim was judged, and the margin of what matters."
    return {"claims": _shown(both, folder, "claims", "The claims: effects, intervals and margins", caption)}


def page_figures(
    run: Run, found: list[Point], importance: list[Importance], judged: tuple[Contrast, ...], folder: Path
) -> dict[str, Shown]:
    """The figures of a run by the names that the page gives them; the wide ones also as PNG in `folder`."""
    made: dict[str, Shown] = {}
    if found and not (is_ablation(run) and _same_encoder(run)):
        front = front_of(run, found)
        both = [draw_scatter(front, narrow=narrow, identity="front") for narrow in (False, True)]
        made["front"] = _shown(both, folder, "front", "Accuracy against latency", _front_caption(run, found))
        size = size_of(run, found)
        if size.dots:
            both = [draw_scatter(size, narrow=narrow, identity="size") for narrow in (False, True)]
            caption = "Numbers are those of the front above: small models are not always fast ones."
            made["size"] = _shown(both, folder, "size", "Accuracy against parameters", caption)
    return (
        made
        | _contrast_figures(run, judged, folder)
        | _curves_figure(run, found, folder)
        | _importance_figure(importance, folder)
    )


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
    both[0].set_layout_engine("none")  # laid out by that drawing: once is enough
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
