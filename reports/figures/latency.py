"""Latency ratios with their intervals, one row per encoder and one colour per runtime."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import BLACK, BLUE, GREEN, GREY, VERMILION, drawn_on, new_figure, shown, styled
from reports.points import points
from reports.records import Run, baseline_of, find_measurement, reference_of
from reports.source import Source, run_of

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
    with styled(identity):
        figure = new_figure(_height(info), narrow=narrow)
        _draw(figure.add_subplot(), info)
        figure.legend(loc="outside lower left", ncols=1 if narrow else 2)
    return figure


def plot_latency(run: Source, *, ax: Axes | None = None) -> Axes:
    """The latency ratio of every configuration of a run with its interval, the fastest on top.

    Args:
        run: the path of a run folder, a Run, or a frame of `reports.table.trials`; what has no accuracy or no interval
            of its ratio is left out.
        ax: where to draw; a new figure where left out.

    Raises:
        ValueError: nothing is left.
    """
    info = latency_info(run_of(run))
    with drawn_on(ax, _height(info)) as axes:
        _draw(axes, info)
        axes.legend()
    return axes


def latency_info(run: Run) -> LatencyInfo:
    """One row per configuration of a run. Raises ValueError where no ratio has an interval."""
    records = {record["fingerprint"]: record for record in run.records}
    made = []
    for point in points(list(run.records), baseline_of(run.study)):
        if point.latency_ratio_interval is not None:
            measured = find_measurement(records[point.fingerprints[0]], "latency_ratio")
            assert measured is not None
            low, high = point.latency_ratio_interval
            case = str(measured["conditions"].get("runtime") or "latency")
            made.append(LatencyPoint(name=point.name, case=case, ratio=point.latency_ratio, low=low, high=high))
    if not made:
        raise ValueError(
            f"a figure of latency needs trials with an interval of latency_ratio, got none in {run.name}; "
            "reports.table.trials(run) shows what was measured"
        )
    return LatencyInfo(points=tuple(made), reference=reference_of(run))


def _height(info: LatencyInfo) -> float:
    return 0.34 * max(1, len({point.name for point in info.points})) + 1.2


def _draw(axes: Axes, info: LatencyInfo) -> None:
    names = list(dict.fromkeys(point.name for point in info.points))
    cases = list(dict.fromkeys(point.case for point in info.points))
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
