"""Paired differences seed by seed, with their mean, its interval, and the margin of what matters as a band."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from reports.contrast import PRIMARY, Contrast, contrasts, margin_of
from reports.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PALE,
    VERMILION,
    despine,
    drawn_on,
    new_figure,
    shown,
    styled,
)
from reports.pareto import Interval
from reports.readable import in_points
from reports.source import Source, chosen, run_of

COLOURS = {"better": BLUE, "worse": VERMILION, "no difference that matters": GREEN, "cannot tell": GREY, "": BLACK}
BAND = "#eceff2"
MAX_ROWS, MAX_PANELS = 40, 16
"""Arms of a figure; with hundreds a PNG would be larger than any program draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastRow:
    """One arm, or one task of one arm."""

    label: str
    differences: tuple[float, ...]
    """Points, one per seed."""
    mean: float
    interval: Interval
    """None where too few pairs give no finite one."""
    verdict: str
    """Empty for a task."""
    num_lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastPanel:
    """Rows from top to bottom."""

    title: str
    """Empty where there is only one panel."""
    rows: tuple[ContrastRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastInfo:
    """What a figure of contrasts shows; panels without rows are left out."""

    panels: tuple[ContrastPanel, ...]
    baseline: str
    metric: str
    margin: float | None
    num_left_out: int = 0
    """Arms that are not drawn."""


def contrast_info(contrasts: Sequence[Contrast], margin: float | None) -> ContrastInfo:
    """Accuracy: one panel with a row per arm that has pairs.

    Args:
        margin: the smallest difference that matters, in points; None where none was declared.
    """
    rows = [_row(c, c.arm) for c in contrasts if c.metric == PRIMARY and c.num_pairs]
    panels = (ContrastPanel(title="", rows=tuple(rows[:MAX_ROWS])),) if rows else ()
    left_out = max(0, len(rows) - MAX_ROWS)
    return ContrastInfo(
        panels=panels, baseline=_baseline(contrasts), metric=PRIMARY, margin=margin, num_left_out=left_out
    )


def task_contrast_info(contrasts: Sequence[Contrast]) -> ContrastInfo:
    """Single tasks: one panel per arm with a row per task, without margin or verdict."""
    panels: dict[str, list[ContrastRow]] = {}
    for contrast in contrasts:
        if contrast.metric != PRIMARY and contrast.num_pairs:
            panels.setdefault(contrast.arm, []).append(_row(contrast, contrast.metric.rpartition("/")[0]))
    made = tuple(ContrastPanel(title=arm, rows=tuple(rows)) for arm, rows in panels.items())
    left_out = max(0, len(made) - MAX_PANELS)
    return ContrastInfo(
        panels=made[:MAX_PANELS], baseline=_baseline(contrasts), metric="score", margin=None, num_left_out=left_out
    )


def draw_contrasts(info: ContrastInfo, *, narrow: bool = False, identity: str = "contrast") -> Figure:
    """Draw the panels with one x axis for all: two abreast, on a narrow figure one below the other."""
    columns = 1 if narrow else min(2, max(1, len(info.panels)))
    lines = ceil(len(info.panels) / columns) or 1
    tallest = max((len(panel.rows) for panel in info.panels), default=1)
    with styled(identity):
        figure = new_figure((0.62 * tallest + 0.75) * lines + (1.25 if narrow else 0.75), narrow=narrow)
        first: Axes | None = None
        for index, panel in enumerate(info.panels):
            axes = figure.add_subplot(lines, columns, index + 1, sharex=first)
            first = first or axes
            _draw_panel(axes, panel, info)
        if first is not None:
            _set_limits(first, info)
        figure.supxlabel(_axis_label(info, narrow=narrow), fontsize=9.5)
        _draw_legend(figure, narrow=narrow)
    return figure


def plot_contrasts(run: Source, *, ax: Axes | None = None) -> Axes:
    """Accuracy of each arm minus that of the first, seed by seed.

    Args:
        run: the path of a run folder, a Run, or a frame of `reports.table.trials`, which knows of no rule declared
            beforehand, so that nothing is judged; its first arm is the baseline.
        ax: where to draw; a new figure where left out.

    Raises:
        ValueError: no two arms share a seed with an accuracy.
    """
    given = run_of(run)
    return _plot(contrast_info(contrasts(given.records, given.study), margin_of(given.study)), None, ax)


def plot_task_contrasts(run: Source, *, arm: str | None = None, ax: Axes | None = None) -> Axes:
    """Each task's primary metric of one arm minus that of the first arm, seed by seed.

    Args:
        run: as for `plot_contrasts`.
        arm: may be left out where there are two.
        ax: where to draw; a new figure where left out.

    Raises:
        ValueError: no such arm, or no seed that it shares with the first.
    """
    given = run_of(run)
    return _plot(task_contrast_info(contrasts(given.records, given.study)), arm, ax)


def _plot(info: ContrastInfo, arm: str | None, ax: Axes | None) -> Axes:
    panel = chosen({panel.title: panel for panel in info.panels}, arm, "arm")
    info = replace(info, panels=(panel,))
    with drawn_on(ax, 0.62 * len(panel.rows) + 1.4) as axes:
        _draw_panel(axes, panel, info)
        _set_limits(axes, info)
        axes.set_xlabel(_axis_label(info, narrow=True))
        entries = _legend_entries([axes])
        where = (0.0, 1.12 if panel.title else 1.0)
        axes.legend(list(entries.values()), list(entries), loc="lower left", bbox_to_anchor=where, ncols=2)
    return axes


def _baseline(found: Sequence[Contrast]) -> str:
    return found[0].baseline if found else ""


def _row(contrast: Contrast, label: str) -> ContrastRow:
    assert contrast.mean is not None
    return ContrastRow(
        label=label,
        differences=contrast.differences,
        mean=contrast.mean,
        interval=contrast.interval,
        verdict=contrast.verdict or "",
        num_lost=len(contrast.lost),
    )


def _draw_panel(axes: Axes, panel: ContrastPanel, info: ContrastInfo) -> None:
    if info.margin is not None:
        label = f"within {in_points(info.margin)}: too little to matter"
        axes.axvspan(-info.margin, info.margin, color=BAND, linewidth=0, zorder=0, label=label)
    axes.axvline(0, color=BLACK, linewidth=0.9, zorder=1)
    low, high = _extent(info)
    dots, heights = list[float](), list[float]()
    for place, row in enumerate(panel.rows):
        dots += row.differences
        heights += [place + 0.2 + offset for offset in _stacked(row.differences, 0.012 * (high - low))]
    axes.scatter(
        np.array(dots), np.array(heights), color=PALE, edgecolor=GREY, linewidth=0.7, s=26, zorder=3, label="one seed"
    )
    for place, row in enumerate(panel.rows):
        colour = COLOURS[row.verdict]
        _draw_mean(axes, row, place, colour)
        if row.verdict:
            _write_verdict(axes, row, place, colour)
    axes.set_yticks(range(len(panel.rows)), [_row_label(row) for row in panel.rows])
    axes.set_ylim(len(panel.rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_title(shown(panel.title, 40))
    axes.set_ylabel("")
    despine(axes, left=True)


def _draw_mean(axes: Axes, row: ContrastRow, place: int, colour: str) -> None:
    if row.interval is None:
        axes.axhline(place - 0.1, color=PALE, linestyle=":", linewidth=1.4, zorder=1, label="no finite interval")
    else:
        axes.plot(row.interval, [place - 0.1] * 2, color=colour, linewidth=2.4, zorder=4, solid_capstyle="butt")
        axes.plot(row.interval, [place - 0.1] * 2, color=colour, linestyle="", marker="|", markersize=9, zorder=4)
    axes.plot([row.mean], [place - 0.1], marker="D", markersize=7, color=colour, markeredgecolor="white", zorder=5)


def _write_verdict(axes: Axes, row: ContrastRow, place: int, colour: str) -> None:
    across = blended_transform_factory(axes.transAxes, axes.transData)
    text = row.verdict + (f", {row.num_lost} lost" if row.num_lost else "")
    axes.text(0.995, place - 0.3, text, transform=across, ha="right", va="center", color=colour, fontsize=9, zorder=6)


def _row_label(row: ContrastRow) -> str:
    lost = "" if row.verdict or not row.num_lost else f"\n({row.num_lost} lost)"
    return shown(row.label, 22) + lost


def _stacked(values: Sequence[float], close: float) -> list[float]:
    """Vertical offsets that keep dots apart which would lie on each other."""
    offsets = [0.0] * len(values)
    order = sorted(range(len(values)), key=lambda index: values[index])
    level = 0
    for before, index in pairwise(order):
        level = (level + 1) % 3 if values[index] - values[before] < close else 0
        offsets[index] = 0.1 * level
    return offsets


def _extent(info: ContrastInfo) -> tuple[float, float]:
    """The lowest and the highest number that must be seen."""
    values = [0.0, *((-info.margin, info.margin) if info.margin is not None else ())]
    for row in (row for panel in info.panels for row in panel.rows):
        values += [*row.differences, *(row.interval or ())]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


def _set_limits(axes: Axes, info: ContrastInfo) -> None:
    low, high = _extent(info)
    axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _axis_label(info: ContrastInfo, *, narrow: bool) -> str:
    what, whose = f"{info.metric} minus that of {shown(info.baseline, 30)}", "points (to the right: the arm is better)"
    return f"{what},\n{whose}" if narrow else f"{what}, {whose}"


def _draw_legend(figure: Figure, *, narrow: bool) -> None:
    drawn = _legend_entries(figure.axes)
    figure.legend(
        list(drawn.values()), list(drawn), loc="outside upper left", ncols=2 if narrow else 4, handletextpad=0.5,
        columnspacing=1.3,
    )  # fmt: skip


def _legend_entries(panels: Sequence[Axes]) -> dict[str, Artist]:
    handles: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    mean = panels[0].plot([], [], color=BLACK, marker="D", markersize=6, linewidth=2.4) if panels else []
    entries = {"one seed": handles.get("one seed"), "mean and 95 % interval": mean[0] if mean else None}
    entries |= {label: handle for label, handle in handles.items() if label != "one seed"}
    return {label: handle for label, handle in entries.items() if handle is not None}
