"""Paired differences seed by seed, with their mean, its interval, and the margin of what matters as a band."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import seaborn
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from reports.contrast import PRIMARY, Contrast
from reports.figures.style import BLACK, BLUE, GREEN, GREY, PALE, VERMILION, new_figure, shown, styled
from reports.pareto import Interval
from reports.readable import in_points

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


def _baseline(contrasts: Sequence[Contrast]) -> str:
    return contrasts[0].baseline if contrasts else ""


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
    axes.scatter(dots, heights, color=PALE, edgecolor=GREY, linewidth=0.7, s=26, zorder=3, label="one seed")
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
    seaborn.despine(ax=axes, left=True)


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
    handles: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    mean = figure.axes[0].plot([], [], color=BLACK, marker="D", markersize=6, linewidth=2.4) if figure.axes else []
    entries = {"one seed": handles.get("one seed"), "mean and 95 % interval": mean[0] if mean else None}
    entries |= {label: handle for label, handle in handles.items() if label != "one seed"}
    drawn = {label: handle for label, handle in entries.items() if handle is not None}
    figure.legend(
        list(drawn.values()), list(drawn), loc="outside upper left", ncols=2 if narrow else 4, handletextpad=0.5,
        columnspacing=1.3,
    )  # fmt: skip
