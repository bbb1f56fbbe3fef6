"""The figures of a page with their captions, each for two widths; knows nothing of where on the page they stand.

A figure is asked for as soon as its numbers are known, and waited for when the page is written: a helper may have drawn
it meanwhile (`reports/helper.py`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from reports.contrast import Contrast, margin_of
from reports.figures.claims import claims_info, draw_claims
from reports.figures.contrast import ContrastInfo, contrast_info, draw_contrasts, task_contrast_info
from reports.figures.curves import curves_info, draw_curves
from reports.figures.front import draw_scatter, front_of, size_of
from reports.figures.importance import draw_importance, importance_info
from reports.figures.style import png_of, to_svg
from reports.helper import Call, Helper
from reports.importance import Importance
from reports.points import Point
from reports.readable import plural
from reports.records import Run, is_ablation
from reports.verdict import Verdict
from search.files import write_whole

Settings: TypeAlias = dict[Any, Any]
"""Of matplotlib, as it names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a figure shows, how it is drawn, and what it says in words."""

    name: str
    """Of its file, and of the ids in it."""
    title: str
    caption: str
    draw: Callable[..., Figure]
    """Takes `info`, `narrow` and `identity`."""
    info: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A picture whose two drawings were asked for."""

    picture: Picture
    wide: Call[tuple[str, bytes]]
    narrow: Call[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A figure on the page: the wide form, the one for a phone, and what both say in words."""

    wide: Markup
    narrow: Markup
    caption: str


def ask(pictures: Iterable[Picture], helper: Helper) -> list[Asked]:
    """Have pictures drawn, with the settings that matplotlib has now."""
    settings: Settings = {name: value for name, value in matplotlib.rcParams.items() if not name.startswith("backend")}
    asked = []
    for picture in pictures:
        wide, narrow = (helper.ask(_drawn, picture, is_narrow, settings) for is_narrow in (False, True))
        asked.append(Asked(picture=picture, wide=wide, narrow=narrow))
    return asked


def shown(asked: Sequence[Asked], folder: Path, helper: Helper) -> dict[str, Shown]:
    """The figures by the names that the page gives them, drawn by now; the wide ones also as PNG in `folder`."""
    made = {}
    for one in asked:
        (wide, png), (narrow, _) = helper.result(one.wide), helper.result(one.narrow)
        write_whole(folder / f"{one.picture.name}.png", png)
        key = one.picture.name.replace("-", "_")
        made[key] = Shown(wide=Markup(wide), narrow=Markup(narrow), caption=one.picture.caption)
    return made


def run_pictures(run: Run, found: list[Point]) -> list[Picture]:
    """Front, sizes and learning curves."""
    return [*_front_pictures(run, found), *_curves_pictures(run, found)]


def contrast_pictures(run: Run, judged: tuple[Contrast, ...]) -> list[Picture]:
    """The differences of an ablation's arms, in accuracy and task by task."""
    infos: list[tuple[str, ContrastInfo, str]] = [
        ("task-contrast", task_contrast_info(judged), "Differences inside each seed, task by task"),  # takes longest
        ("contrast", contrast_info(judged, margin_of(run.study)), "Differences inside each seed"),
    ]
    made = []
    for name, info, title in infos:
        if info.panels:
            caption = (
                f"Each dot is one seed: the arm minus {info.baseline}, trained on the same data in the same order."
            )
            if info.num_left_out:
                caption += f" {plural(info.num_left_out, 'further arm')} not drawn; the table has all."
            made.append(Picture(name=name, title=title, caption=caption, draw=draw_contrasts, info=info))
    return made


def claim_pictures(verdicts: tuple[Verdict, ...]) -> list[Picture]:
    """The figure of the claims; none where no claim has a difference."""
    panels = claims_info(verdicts)
    if not panels:
        return []
    title = "The claims: effects, intervals and margins"
    caption = "Each claim by the part that decides it: its difference in every seed or session, the mean, its interval "
    caption += "at the level at which the claim was judged, and the margin of what matters."
    return [Picture(name="claims", title=title, caption=caption, draw=draw_claims, info=panels)]


def importance_pictures(importance: list[Importance]) -> list[Picture]:
    """The bars of a search's knobs; none where there are too few trials."""
    bars = importance_info(importance)
    if not bars.objectives:
        return []
    title = "Importance of each knob"
    caption = "How differently each knob is set in the best quarter of the trials and in all of them."
    return [Picture(name="importance", title=title, caption=caption, draw=draw_importance, info=bars)]


def _front_pictures(run: Run, found: list[Point]) -> list[Picture]:
    if not found or (is_ablation(run) and _same_encoder(run)):
        return []
    front, size = front_of(run, found), size_of(run, found)
    title, caption = "Accuracy against latency", _front_caption(run, found)
    made = [Picture(name="front", title=title, caption=caption, draw=draw_scatter, info=front)]
    if size.dots:
        caption = "Numbers are those of the front above: small models are not always fast ones."
        title = "Accuracy against parameters"
        made.append(Picture(name="size", title=title, caption=caption, draw=draw_scatter, info=size))
    return made


def _curves_pictures(run: Run, found: list[Point]) -> list[Picture]:
    arms = is_ablation(run)
    curves = curves_info(list(run.records), found, everyone=arms)
    if not curves.panels:
        return []
    which = "trial; the first seed of each arm in colour" if arms else "trial of the search"
    caption = f"One line per {which}; phases of one stage are laid end to end."
    if curves.num_left_out:
        caption += f" {curves.num_left_out} of the other trials are not drawn."
    return [Picture(name="curves", title="Learning curves", caption=caption, draw=draw_curves, info=curves)]


def _same_encoder(run: Run) -> bool:
    """Whether all arms train one architecture, so that latency and size cannot differ."""
    return all(record["spec"]["student"] == run.records[0]["spec"]["student"] for record in run.records)


def _drawn(picture: Picture, narrow: bool, settings: Settings) -> tuple[str, bytes]:
    """One form of a picture as SVG; of the wide one also the PNG."""
    width, name = "narrow" if narrow else "wide", picture.name
    with matplotlib.rc_context(settings):
        figure = picture.draw(picture.info, narrow=narrow, identity=name)
        png = b"" if narrow else png_of(figure, name)
        return to_svg(figure, f"{name}-{width}", picture.title, picture.caption), png


def _front_caption(run: Run, found: list[Point]) -> str:
    bars = "Bars are the recorded intervals"
    if any(point.num_seeds > 1 for point in found):
        bars += ", and over several seeds the lowest and the highest"
    caption = f"Each point is one configuration. {bars}."
    lost = sum(record["status"] != "complete" for record in run.records)
    if lost:
        caption += f" Not shown: {lost} that diverged or failed, for want of an accuracy."
    return caption
