"""Learning curves as small multiples: one panel per stage of training, front and baseline in colour, the rest pale."""

import re
from dataclasses import dataclass
from math import ceil
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from reports.figures.style import BLACK, PALE, despine, drawn_on, new_figure, shown, styled
from reports.naming import BASELINE_NAME
from reports.points import Point, arm_of, points_of
from reports.records import Record, Run, curve_points, is_ablation
from reports.source import Source, chosen, run_of

MAX_PANELS = 9
MAX_HIGHLIGHTED = 6
MAX_PALE = 40
"""Curves of other trials, spread evenly over the run; more would only blacken the panel."""
MAX_STEPS = 80

_STAGES = (
    ("transfer", "knowledge transfer"),
    ("distill", "distillation"),
    ("pre", "pre-training"),
    ("fine", "fine-tuning"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One trial in one panel."""

    fingerprint: str
    steps: tuple[float, ...]
    """Counted through all phases of the panel."""
    values: tuple[float, ...]
    name: str
    """Empty for a pale curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One stage."""

    title: str
    metric: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvesInfo:
    """All panels, and what was left out."""

    panels: tuple[Panel, ...]
    names: tuple[str, ...]
    """The coloured curves, fastest first."""
    num_pale: int
    num_left_out: int
    """Trials with curves that are not drawn."""


def curves_info(records: list[Record], found: list[Point], *, everyone: bool = False) -> CurvesInfo:
    """Curves of the trials, thinned to `MAX_STEPS` steps; confirmations would repeat the front's.

    Args:
        everyone: highlight the first points as they come (the arms of an ablation) instead of front and baseline.
    """
    named = {p.fingerprints[0]: p.name for p in found[:MAX_HIGHLIGHTED]} if everyone else _highlighted(found)
    return _info(records, named)


def _info(records: list[Record], named: dict[str, str]) -> CurvesInfo:
    """Curves with those in colour that are named by their fingerprint."""
    with_curves = [record for record in records if record["curves"] and record.get("role") != "confirmation"]
    others = [record for record in with_curves if record["fingerprint"] not in named]
    kept = others[:: max(1, ceil(len(others) / MAX_PALE))]
    drawn = kept + [record for record in with_curves if record["fingerprint"] in named]
    panels: dict[tuple[str, str], list[Curve]] = {}
    for record in drawn:
        for title, (metric, steps, values) in _stages(record).items():
            curve = Curve(
                fingerprint=record["fingerprint"],
                steps=steps,
                values=values,
                name=named.get(record["fingerprint"], ""),
            )
            panels.setdefault((title, metric), []).append(curve)
    made = [Panel(title=title, metric=metric, curves=tuple(curves)) for (title, metric), curves in panels.items()]
    made.sort(key=lambda panel: (_rank(panel.title), panel.title))
    present = {record["fingerprint"] for record in with_curves}
    return CurvesInfo(
        panels=tuple(made[:MAX_PANELS]),
        names=tuple(name for fingerprint, name in named.items() if fingerprint in present),
        num_pale=len(kept),
        num_left_out=len(others) - len(kept),
    )


def draw_curves(info: CurvesInfo, *, narrow: bool = False, identity: str = "curves") -> Figure:
    """Draw the panels in rows of three, on a narrow figure one below the other."""
    columns = 1 if narrow else min(3, max(1, len(info.panels)))
    rows = max(1, ceil(len(info.panels) / columns))
    legend_rows = ceil((len(info.names) + 1) / (1 if narrow else 2))
    with styled(identity):
        figure = new_figure((2.0 if narrow else 2.4) * rows + 0.2 * legend_rows + 0.2, narrow=narrow)
        colours = dict(zip(info.names, _colours(info.names), strict=True))
        for index, panel in enumerate(info.panels):
            _draw_panel(figure.add_subplot(rows, columns, index + 1), panel, colours)
        handles = {label: handle for axes in figure.axes for handle, label in _legend(axes)}
        order = [name for name in (*(shown(name) for name in info.names), "other trials") if name in handles]
        figure.legend(
            [handles[name] for name in order], order, loc="outside lower left", ncols=1 if narrow else 2,
            columnspacing=1.5,
        )  # fmt: skip
    return figure


def plot_curves(run: Source, *, stage: str | None = None, ax: Axes | None = None) -> Axes:
    """Learning curves of one stage: the first seed of each arm, or front and baseline of a search, in colour.

    Args:
        run: the path of a run folder, a Run, or a frame of `reports.table.curves`, in which no front is known.
        stage: such as `distillation` or `fine-tuning: sentiment`; may be left out where there is one.
        ax: where to draw; a new figure where left out.

    Raises:
        ValueError: no such stage, or no curve at all.
    """
    given = run_of(run)
    info = _info(list(given.records), _names(given))
    panel = chosen({panel.title: panel for panel in info.panels}, stage, "stage")
    with drawn_on(ax, 3.6) as axes:
        _draw_panel(axes, panel, dict(zip(info.names, _colours(info.names), strict=True)))
        handles = {label: handle for handle, label in _legend(axes)}
        axes.legend(list(handles.values()), list(handles))
    return axes


def _names(run: Run) -> dict[str, str]:
    """The curves in colour, by fingerprint."""
    firsts: dict[str, str] = {}
    for record in run.records:
        if record["curves"] and (arm := arm_of(record)):
            firsts.setdefault(arm, record["fingerprint"])
    if is_ablation(run):
        return {fingerprint: arm for arm, fingerprint in list(firsts.items())[:MAX_HIGHLIGHTED]}
    found = points_of(run)
    return _highlighted(found) or {first: name for name, first in firsts.items() if name == BASELINE_NAME}


def _highlighted(found: list[Point]) -> dict[str, str]:
    """Fingerprint of the first trial and label of the baseline and the front, evenly chosen where there are many."""
    members = [(number, point) for number, point in enumerate((p for p in found if p.on_front), start=1)]
    room = MAX_HIGHLIGHTED - 1
    if len(members) > room:
        picked = {round(place * (len(members) - 1) / (room - 1)) for place in range(room)}
        members = [member for index, member in enumerate(members) if index in picked]
    named = {point.fingerprints[0]: f"{number}: {point.name}" for number, point in members if not point.is_baseline}
    return named | {point.fingerprints[0]: point.name for point in found if point.is_baseline}


def _stages(record: Record) -> dict[str, tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """(metric, steps, values) per panel; phases of one stage are laid end to end, the loss is preferred."""
    found: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    for point in curve_points(record):
        by_metric = found.setdefault(_panel(point["stage"]), {})
        by_metric.setdefault(point["metric"], []).append((point["stage"], float(point["step"]), float(point["value"])))
    made = {}
    for title, by_metric in found.items():
        metric = "loss" if "loss" in by_metric else next(iter(by_metric))
        steps, values = _end_to_end(by_metric[metric])
        every = max(1, ceil(len(steps) / MAX_STEPS))
        made[title] = (metric, tuple(steps[::every]), tuple(values[::every]))
    return made


def _end_to_end(entries: list[tuple[str, float, float]]) -> tuple[list[float], list[float]]:
    steps: list[float] = []
    offset, phase = 0.0, entries[0][0]
    for stage, step, _ in entries:
        if stage != phase:
            phase = stage
            offset = steps[-1] if step <= steps[-1] - offset else offset
        steps.append(offset + step)
    return steps, [value for _, _, value in entries]


def _panel(stage: str) -> str:
    for start, title in _STAGES:
        if start in stage.lower().replace("knowledge", "") and (start != "pre" or stage.lower().startswith("pre")):
            rest = re.sub(r"^[a-z]+(?:[-_ ]?(?:tuning|tune|training))?", "", stage.lower()).strip("-_/: ")
            return f"{title}: {rest}" if rest and title == "fine-tuning" else title
    return shown(stage, 30)


def _rank(title: str) -> int:
    return next((place for place, (_, name) in enumerate(_STAGES) if title.startswith(name)), len(_STAGES))


def _colours(names: tuple[str, ...]) -> list[object]:
    import seaborn

    hues = iter(seaborn.color_palette("colorblind", 10))
    return [BLACK if name.startswith(BASELINE_NAME) else next(hues) for name in names]


def _draw_panel(axes: Axes, panel: Panel, colours: dict[str, Any]) -> None:
    pale = [list(zip(curve.steps, curve.values, strict=True)) for curve in panel.curves if not curve.name]
    if pale:
        axes.add_collection(LineCollection(pale, colors=PALE, linewidths=0.6, label="other trials", zorder=2))
    for curve in panel.curves:
        if curve.name:
            axes.plot(curve.steps, curve.values, color=colours[curve.name], linewidth=1.4, label=shown(curve.name))
    axes.autoscale_view()
    axes.set_title(shown(panel.title, 30))
    axes.set_xlabel("step")
    axes.set_ylabel(shown(panel.metric, 24))
    despine(axes)


def _legend(axes: Axes) -> list[tuple[Artist, str]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(zip(handles, labels, strict=True))
