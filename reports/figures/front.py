"""Accuracy against latency with the front named, and with the same marks accuracy against parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from reports.figures.labels import Label, place_labels
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
from reports.findings import accuracy_of_teacher
from reports.form import cap_of
from reports.pareto import Interval
from reports.points import Point, points_of
from reports.records import Run, majority_mean, reference_of, teacher_of
from reports.source import Source, run_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One point as drawn."""

    x: float
    accuracy: float
    x_interval: Interval
    accuracy_interval: Interval
    search_accuracy: float | None
    """The search seed's own value, where the one drawn is a mean over several seeds."""
    number: int | None
    """Place on the front, fastest first; None for dominated points."""
    name: str
    is_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterInfo:
    """What an accuracy figure shows."""

    dots: tuple[Dot, ...]
    x_label: str
    x_note: str
    """Second line under the axis; may be empty."""
    log_x: bool
    joined: bool
    """Whether the front is drawn as a line and its names are written out."""
    teacher: float | None
    majority: float | None
    cap: float | None = None
    """The most latency that is allowed, in units of x."""


def front_info(
    points: list[Point],
    *,
    teacher: float | None = None,
    majority: float | None = None,
    reference: str = "reference",
    max_latency_ms: float | None = None,
) -> ScatterInfo:
    """Accuracy (mean over seeds) against latency ratio.

    Args:
        points: fastest first; front points are numbered in this order.
        teacher: the teacher's accuracy, in points.
        majority: the mean over tasks of always answering the most frequent class, in points.
        reference: what latency is divided by.
        max_latency_ms: a cap, drawn where so many milliseconds were measured for the ratio.
    """
    unit = sorted(
        point.latency_ms / point.latency_ratio for point in points if point.latency_ms and point.latency_ratio
    )
    return ScatterInfo(
        dots=_dots(points, [(point.latency_ratio, point.latency_ratio_interval) for point in points]),
        x_label="latency, ratio to the reference (less is faster)",
        x_note=f"1.0 = {shown(reference, 36)}" + (f", about {unit[len(unit) // 2]:.3g} ms here" if unit else ""),
        log_x=False,
        joined=True,
        teacher=teacher,
        majority=majority,
        cap=max_latency_ms / unit[len(unit) // 2] if max_latency_ms is not None and unit else None,
    )


def size_info(points: list[Point], *, teacher: float | None = None, majority: float | None = None) -> ScatterInfo:
    """Accuracy (mean over seeds) against thousands of parameters; a point without a count has no x and is left out."""
    sizes = [None if point.parameters is None else point.parameters / 1e3 for point in points]
    known = [size for size in sizes if size is not None]
    return ScatterInfo(
        dots=_dots(points, [None if size is None else (size, None) for size in sizes]),
        x_label="parameters, thousands",
        x_note="",
        log_x=bool(known) and max(known) > 5 * min(known),
        joined=False,
        teacher=teacher,
        majority=majority,
    )


def draw_scatter(info: ScatterInfo, *, narrow: bool = False, identity: str = "front") -> Figure:
    """Draw the points; a narrow figure names the front by its numbers only."""
    with styled(identity):
        figure = new_figure(4.9 if narrow else 5.0, narrow=narrow)
        axes = figure.add_subplot()
        _draw_all(axes, info)
        figure.legend(loc="outside upper left", ncols=2 if narrow else 6, handletextpad=0.4, columnspacing=1.2)
        place_labels(axes, _labels(info, short=narrow), _obstacles(info))
    return figure


def plot_front(run: Source, *, ax: Axes | None = None) -> Axes:
    """Accuracy against latency ratio, the front joined and named.

    Args:
        run: the path of a run folder, a Run, or a frame of `reports.table.trials`.
        ax: where to draw; a new figure where left out.

    Raises:
        ValueError: no trial has both accuracy and latency.
    """
    given = run_of(run)
    return _plot(front_of(given, _points(given)), ax)


def plot_size(run: Source, *, ax: Axes | None = None) -> Axes:
    """Accuracy against thousands of parameters, the front of `plot_front` by its numbers; takes the same."""
    given = run_of(run)
    return _plot(size_of(given, _points(given)), ax)


def front_of(run: Run, found: list[Point]) -> ScatterInfo:
    """The front of a run whose points are given."""
    teacher, majority = accuracy_of_teacher(teacher_of(run.study)), majority_mean(run)
    return front_info(
        found, teacher=teacher, majority=majority, reference=reference_of(run), max_latency_ms=cap_of(run.study)
    )


def size_of(run: Run, found: list[Point]) -> ScatterInfo:
    """The same points against their size."""
    return size_info(found, teacher=accuracy_of_teacher(teacher_of(run.study)), majority=majority_mean(run))


def _points(run: Run) -> list[Point]:
    found = points_of(run)
    if not found:
        raise ValueError(
            f"a front is drawn of trials with accuracy and latency_ratio, got none in {run.name}; "
            "reports.table.trials(run) shows what was measured"
        )
    return found


def _plot(info: ScatterInfo, ax: Axes | None) -> Axes:
    with drawn_on(ax, 5.0) as axes:
        _draw_all(axes, info)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, handletextpad=0.4, columnspacing=1.2)
        figure = axes.get_figure(root=True)
        assert figure is not None
        engine = figure.get_layout_engine()
        place_labels(axes, _labels(info, short=False), _obstacles(info))
        figure.set_layout_engine(engine)  # the figure is not ours: it goes on laying itself out
    return axes


def _draw_all(axes: Axes, info: ScatterInfo) -> None:
    """Everything but legend and labels."""
    _draw_dots(axes, info)
    _set_limits(axes, info)
    _draw_lines(axes, info)
    axes.set_xlabel("\n".join(line for line in (info.x_label, info.x_note) if line))
    axes.set_ylabel("accuracy, mean over tasks (%)")
    despine(axes)


def _labels(info: ScatterInfo, *, short: bool) -> list[Label]:
    named = [dot for dot in info.dots if dot.number or dot.is_baseline]
    return [_label(dot, short=short or not info.joined) for dot in named]


def _dots(points: list[Point], places: list[tuple[float, Interval] | None]) -> tuple[Dot, ...]:
    numbers = {point.key: number for number, point in enumerate((p for p in points if p.on_front), start=1)}
    return tuple(
        Dot(
            x=place[0],
            accuracy=point.accuracy,
            x_interval=place[1],
            accuracy_interval=point.accuracy_interval,
            search_accuracy=point.search_accuracy if point.num_seeds > 1 else None,
            number=numbers.get(point.key),
            name=point.name,
            is_baseline=point.is_baseline,
        )
        for point, place in zip(points, places, strict=True)
        if place is not None
    )


def _label(dot: Dot, *, short: bool) -> Label:
    mark = ": ".join(str(part) for part in (dot.number, "baseline" if dot.is_baseline else None) if part)
    name = "baseline" if dot.is_baseline else shown(dot.name, 44)
    text = f"{dot.number}: {name}" if dot.number else name
    return Label(x=dot.x, y=dot.accuracy, text=mark if short else text, short=mark)


def _obstacles(info: ScatterInfo) -> list[tuple[float, float]]:
    """Every mark, and points along its bars and along the line that joins the front."""
    found = [(dot.x, dot.accuracy) for dot in info.dots]
    found += [(dot.x, dot.search_accuracy) for dot in info.dots if dot.search_accuracy is not None]
    for dot in info.dots:
        found += [(x, dot.accuracy) for x in _along(dot.x_interval)]
        found += [(dot.x, accuracy) for accuracy in _along(dot.accuracy_interval)]
    if info.joined:
        members = sorted((dot for dot in info.dots if dot.number), key=lambda dot: dot.number or 0)
        for left, right in pairwise(members):
            for share in (0.2, 0.4, 0.6, 0.8):
                x = left.x + share * (right.x - left.x)
                found.append((x, left.accuracy + share * (right.accuracy - left.accuracy)))
    return found


def _along(interval: Interval) -> list[float]:
    return (
        [] if interval is None else [interval[0] + share * (interval[1] - interval[0]) for share in (0, 0.25, 0.75, 1)]
    )


def _draw_dots(axes: Axes, info: ScatterInfo) -> None:
    import seaborn

    groups = {
        "front": ([dot for dot in info.dots if dot.number and not dot.is_baseline], BLUE, "o", 52, 4),
        "dominated": ([dot for dot in info.dots if not dot.number and not dot.is_baseline], PALE, "o", 32, 3),
        "baseline": ([dot for dot in info.dots if dot.is_baseline], VERMILION, "D", 52, 4),
    }
    for label, (dots, colour, marker, size, layer) in groups.items():
        if not dots:
            continue
        _draw_bars(axes, dots, colour)
        seaborn.scatterplot(
            x=[dot.x for dot in dots], y=[dot.accuracy for dot in dots], ax=axes, color=colour, marker=marker,
            s=size, label=label, legend=False, linewidth=0.6, edgecolor="white", zorder=layer,
        )  # fmt: skip
    first = [(dot.x, dot.search_accuracy) for dot in info.dots if dot.search_accuracy is not None]
    if first:
        axes.scatter(
            [x for x, _ in first], [accuracy for _, accuracy in first], s=30, facecolors="white",
            edgecolors=BLUE, linewidths=1.0, zorder=3, label="search seed alone",
        )  # fmt: skip
    if info.log_x:
        axes.set_xscale("log")


def _draw_bars(axes: Axes, dots: Sequence[Dot], colour: str) -> None:
    """All bars of a group as one artist: thousands of lines, each its own, would take most of a report's time."""
    bars = [[(x, dot.accuracy) for x in dot.x_interval] for dot in dots if dot.x_interval]
    bars += [[(dot.x, value) for value in dot.accuracy_interval] for dot in dots if dot.accuracy_interval]
    drawn = LineCollection(bars, colors=colour, linewidths=1.1, alpha=0.75, zorder=3, capstyle="projecting")
    axes.add_collection(drawn)


def _set_limits(axes: Axes, info: ScatterInfo) -> None:
    """Room for labels on the right, and for teacher and majority where they are not far away."""
    low, high = axes.get_ylim()
    span = max(high - low, 2.0)
    low, high = (low + high - span) / 2, (low + high + span) / 2
    near = [value for value in (info.teacher, info.majority) if value and low - 1.2 * span < value < high + 1.2 * span]
    axes.set_ylim(min([low, *(value - 0.06 * span for value in near)]), max([high, *(v + 0.06 * span for v in near)]))
    if not info.log_x:
        left, right = axes.get_xlim()
        wide = max(right - left, 0.05)
        axes.set_xlim(max(0.0, left - 0.04 * wide), right + 0.08 * wide)


def _draw_lines(axes: Axes, info: ScatterInfo) -> None:
    members = sorted((dot for dot in info.dots if dot.number), key=lambda dot: dot.number or 0)
    if info.joined and len(members) > 1:
        across, up = [dot.x for dot in members], [dot.accuracy for dot in members]
        axes.plot(across, up, color=BLUE, linewidth=1.0, alpha=0.55, zorder=2)
    left, right = axes.get_xlim()
    if info.cap is not None and left <= info.cap <= right:
        axes.axvline(info.cap, linestyle="-.", color=VERMILION, linewidth=1.3, zorder=1, label="cap on latency")
    for value, name, style, colour in (
        (info.teacher, "teacher", "--", GREEN),
        (info.majority, "majority class", ":", BLACK),
    ):
        if value is None:
            continue
        low, high = axes.get_ylim()
        if low <= value <= high:
            axes.axhline(value, linestyle=style, color=colour, linewidth=1.3, zorder=1, label=f"{name} {value:.1f}")
            continue
        arrow, edge, align = ("\u2191", 0.99, "top") if value > high else ("\u2193", 0.01, "bottom")
        axes.text(0.99, edge, f"{name} {value:.1f} {arrow}", color=GREY, fontsize=8.5, va=align, ha="right",
                  transform=axes.transAxes)  # fmt: skip
