"""Latency ratios with their intervals, one row per encoder and one colour per runtime."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.figures.style import BLACK, BLUE, GREEN, GREY, VERMILION, new_figure, shown, styled

_COLOURS = (BLUE, VERMILION, GREEN, GREY)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPoint:
    """One ratio that was measured."""

    name: str
    case: str
    """What its colour stands for."""
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyInfo:
    """What is drawn: the points, and what ratios refer to."""

    points: tuple[LatencyPoint, ...]
    reference: str


def draw_latency(info: LatencyInfo, *, narrow: bool = False, identity: str = "latency") -> Figure:
    """Points with 95 % intervals, the first name on top; a line marks the reference."""
    names = list(dict.fromkeys(point.name for point in info.points))
    cases = list(dict.fromkeys(point.case for point in info.points))
    with styled(identity):
        figure = new_figure(0.34 * max(1, len(names)) + 1.2, narrow=narrow)
        axes = figure.add_subplot()
        for place, case in enumerate(cases):
            members = [point for point in info.points if point.case == case]
            offset = 0.6 * ((place + 0.5) / len(cases) - 0.5)
            rows = [names.index(point.name) + offset for point in members]
            errors = [[p.ratio - p.low for p in members], [p.high - p.ratio for p in members]]
            colour = _COLOURS[place % len(_COLOURS)]
            values = [point.ratio for point in members]
            axes.errorbar(values, rows, xerr=errors, fmt="o", markersize=4, color=colour, label=shown(case), capsize=2)
        axes.axvline(1.0, color=BLACK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(names)), [shown(name, 28) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(left=0.0)
        axes.set_xlabel(f"time relative to {shown(info.reference, 28)} (95 % interval)")
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower left", ncols=1 if narrow else 2)
    return figure
