"""Each claim's effect with its interval and margin, on a scale of its own for each unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import blended_transform_factory

from reports.decision import Outcome
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
from reports.source import Source, chosen, given_run
from reports.verdict import Verdict, verdicts
from search.claim import Test

COLOURS: dict[Outcome, str] = {
    "reproduced": BLUE,
    "contradicted": VERMILION,
    "equivalent": GREEN,
    "inconclusive": GREY,
}
MARKERS: dict[Outcome, str] = {"reproduced": "D", "contradicted": "X", "equivalent": "s", "inconclusive": "o"}
BAND = "#e3e7eb"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """One claim, by its deciding part."""

    label: str
    test: Test
    margin: float
    differences: tuple[float, ...]
    mean: float
    interval: Interval
    outcome: Outcome
    num_lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPanel:
    """The claims of one unit, from top to bottom."""

    unit: str
    rows: tuple[ClaimRow, ...]


def claims_info(judged: Sequence[Verdict]) -> tuple[ClaimPanel, ...]:
    """One panel per unit; claims without any difference are left out."""
    panels: dict[str, list[ClaimRow]] = {}
    for verdict in judged:
        part = verdict.shown
        if part.mean is not None:
            row = ClaimRow(
                label=verdict.claim.name,
                test=verdict.claim.test,
                margin=verdict.claim.margin,
                differences=part.differences,
                mean=part.mean,
                interval=part.interval,
                outcome=verdict.outcome,
                num_lost=len({lost.block for lost in verdict.lost}),
            )
            panels.setdefault(part.unit, []).append(row)
    return tuple(ClaimPanel(unit=unit, rows=tuple(rows)) for unit, rows in panels.items())


def plot_claims(run: Source, *, unit: str | None = None, ax: Axes | None = None) -> Axes:
    """The claims whose effects have one unit, each with its interval and margin.

    Args:
        run: the path of a run folder, a Run, or a frame of `reports.table.claims`, which has no dots for single seeds.
        unit: such as `points`; may be left out where all claims have the same.
        ax: where to draw; a new figure where left out.

    Raises:
        ValueError: no claim has an effect, or the unit is not one of theirs.
    """
    panels = _frame_panels(run) if isinstance(run, pd.DataFrame) else claims_info(verdicts(given_run(run)))
    panel = chosen({panel.unit: panel for panel in panels}, unit, "unit")
    with drawn_on(ax, 0.62 * len(panel.rows) + 1.4) as axes:
        _draw_panel(axes, panel)
        axes.legend(handles=_legend(), loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    return axes


def _frame_panels(frame: pd.DataFrame) -> tuple[ClaimPanel, ...]:
    panels: dict[str, list[ClaimRow]] = {}
    for row in frame.to_dict("records"):
        if pd.isna(row["effect"]):
            continue
        made = ClaimRow(
            label=str(row["claim"]), test=row["test"], margin=float(row["margin"]), differences=(),
            mean=float(row["effect"]), outcome=row["verdict"], num_lost=int(row["num_lost"]),
            interval=None if pd.isna(row["low"]) else (float(row["low"]), float(row["high"])),
        )  # fmt: skip
        panels.setdefault(str(row["unit"]), []).append(made)
    return tuple(ClaimPanel(unit=unit, rows=tuple(rows)) for unit, rows in panels.items())


def draw_claims(panels: Sequence[ClaimPanel], *, narrow: bool = False, identity: str = "claims") -> Figure:
    """Draw the panels one below the other."""
    heights = [0.62 * len(panel.rows) + 0.75 for panel in panels]
    with styled(identity):
        figure = new_figure(sum(heights) + (0.9 if narrow else 0.6), narrow=narrow)
        grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
        for place, panel in enumerate(panels):
            _draw_panel(figure.add_subplot(grid[place]), panel)
        figure.legend(
            handles=_legend(), loc="outside upper left", ncols=2 if narrow else 4, handletextpad=0.5, columnspacing=1.3
        )
    return figure


def _draw_panel(axes: Axes, panel: ClaimPanel) -> None:
    axes.axvline(0, color=BLACK, linewidth=0.9, zorder=1)
    for place, row in enumerate(panel.rows):
        _draw_row(axes, row, place)
    axes.set_yticks(range(len(panel.rows)), [fill(shown(row.label, 72), 26) for row in panel.rows])
    axes.set_ylim(len(panel.rows) - 0.45, -0.6)
    axes.set_xlim(*_limits(panel))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"difference, {shown(panel.unit)}" if panel.unit else "difference")
    despine(axes, left=True)


def _draw_row(axes: Axes, row: ClaimRow, place: int) -> None:
    colour, height = COLOURS[row.outcome], place - 0.05
    low, high = _band(row)
    axes.barh(place, high - low, left=low, height=0.72, color=BAND, linewidth=0, zorder=0)
    dots = [place + 0.22] * len(row.differences)
    axes.scatter(row.differences, dots, color=PALE, edgecolor=GREY, linewidth=0.7, s=22, zorder=3)
    if row.interval is None:
        axes.axhline(height, color=PALE, linestyle=":", linewidth=1.4, zorder=1)
    else:
        axes.plot(row.interval, [height] * 2, color=colour, linewidth=2.4, marker="|", markersize=9, zorder=4)
    axes.scatter([row.mean], [height], marker=MARKERS[row.outcome], s=70, color=colour, edgecolor="white", zorder=5)
    across = blended_transform_factory(axes.transAxes, axes.transData)
    text = row.outcome + (f", {row.num_lost} lost" if row.num_lost else "")
    axes.text(0.995, place - 0.3, text, transform=across, ha="right", va="center", color=colour, fontsize=9, zorder=6)


def _band(row: ClaimRow) -> tuple[float, float]:
    """What does not matter: a claim that nothing is lost has no upper margin."""
    return -row.margin, 0.0 if row.test == "not less" else row.margin


def _limits(panel: ClaimPanel) -> tuple[float, float]:
    values = [0.0]
    for row in panel.rows:
        values += [*row.differences, *(row.interval or ()), *_band(row)]
    low, high = min(values), max(values)
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def _legend() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=PALE, markeredgecolor=GREY, marker="o", linestyle="", label="one seed or session"),
        Line2D([], [], color=BLACK, marker="D", markersize=6, linewidth=2.4, label="mean and interval"),
        Patch(color=BAND, label="margin of the claim"),
        Line2D([], [], color=PALE, linestyle=":", label="no finite interval"),
    ]
