"""Where a label goes so that it covers no point, no other label and no edge: try places, take the cheapest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from reports.figures.style import GREY

Rows = NDArray[np.float64]
"""Rectangles as rows (left, bottom, right, top)."""
MANY, CELL = 3000, 6.0
"""Marks up to which each counts; beyond, one in every square of so many pixels."""
_DISTANCES = (0.0, 9.0, 22.0, 38.0, 58.0)
_DIRECTIONS = tuple(math.radians(angle) for angle in (35, -35, 90, -90, 145, -145, 0, 180, 60, -60, 120, -120))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the canvas."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.top - self.bottom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text for a point, and a short form for where the whole one finds no room."""

    x: float
    y: float
    text: str
    short: str


def place_labels(axes: Axes, labels: Sequence[Label], obstacles: Sequence[tuple[float, float]]) -> list[Box]:
    """Write each label beside its point, joined by a thin line where it had to move away.

    Args:
        axes: with its final limits; the figure is laid out by this call and then kept as it is.
        labels: in data coordinates.
        obstacles: every point that must stay visible, the labelled ones among them.

    Returns:
        Where the labels are, in pixels.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    frame = axes.get_window_extent()
    bounds = Box(frame.x0 + 2, frame.y0 + 2, frame.x1 - 2, frame.y1 - 2)
    around = axes.transData.transform(np.array(obstacles, dtype=np.float64).reshape(-1, 2))
    if (
        len(around) > MANY
    ):  # a crowd covers the same area with one mark a cell, and labels are placed in a tenth of the time
        around = np.unique(np.round(around / CELL), axis=0) * CELL
    marks = np.hstack([around - 4.5, around + 4.5])
    placed: list[Box] = []
    for label in sorted(labels, key=lambda label: len(label.text)):
        x, y = (float(value) for value in axes.transData.transform((label.x, label.y)))
        text, taken = label.text, np.vstack([marks, *(_row(box) for box in placed)])
        place = _best((x, y), _size(axes, text), bounds, taken)
        if place.covered > 0.04 * place.box.area and label.short:
            text = label.short
            place = _best((x, y), _size(axes, text), bounds, taken)
        placed.append(place.box)
        _write(axes, text, place, (x, y))
    return placed


@dataclass(frozen=True, slots=True)
class _Place:
    box: Box
    distance: float
    covered: float


def _size(axes: Axes, text: str) -> tuple[float, float]:
    probe = axes.text(0, 0, text, transform=None, fontsize=8.5)
    figure = axes.get_figure(root=True)
    assert figure is not None
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    extent = probe.get_window_extent(canvas.get_renderer())  # type: ignore[no-untyped-call]
    probe.remove()
    return extent.width + 4, extent.height + 2


def _best(spot: tuple[float, float], size: tuple[float, float], bounds: Box, taken: Rows) -> _Place:
    """The place with the least covered area, the nearest of equals.

    Args:
        size: width and height.
        taken: what should stay visible.
    """
    options = [
        (distance, _around(
            spot[0] + math.cos(direction) * (6 + distance + size[0] / 2),
            spot[1] + math.sin(direction) * (6 + distance + size[1] / 2),
            size[0] / 2,
            size[1] / 2,
        ))
        for distance in _DISTANCES
        for direction in _DIRECTIONS
    ]  # fmt: skip
    boxes, distances = np.vstack([_row(box) for _, box in options]), np.array([distance for distance, _ in options])
    outside = size[0] * size[1] - _shared(boxes, _row(bounds))
    covered = 4 * outside + _shared(boxes, taken)
    best = int(np.argmin(covered + 0.6 * distances))
    return _Place(options[best][1], options[best][0], float(covered[best]))


def _row(box: Box) -> Rows:
    return np.array([[box.left, box.bottom, box.right, box.top]])


def _shared(boxes: Rows, others: Rows) -> Rows:
    """Of each box the area that it has in common with all others, summed."""
    reach = [boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]
    near = others[((others[:, 2:] > reach[0]) & (others[:, :2] < reach[1])).all(axis=1)]
    low, high = np.maximum(boxes[:, None, :2], near[:, :2]), np.minimum(boxes[:, None, 2:], near[:, 2:])
    found: Rows = np.clip(high - low, 0.0, None).prod(axis=2).sum(axis=1)
    return found


def _write(axes: Axes, text: str, place: _Place, spot: tuple[float, float]) -> None:
    box, back = place.box, axes.transData.inverted()
    x, y = back.transform(((box.left + box.right) / 2, (box.bottom + box.top) / 2))
    if place.distance > 9.0:
        nearest = (min(max(spot[0], box.left), box.right), min(max(spot[1], box.bottom), box.top))
        (from_x, from_y), (to_x, to_y) = back.transform(spot), back.transform(nearest)
        line = {"color": GREY, "linewidth": 0.6}
        axes.plot([from_x, to_x], [from_y, to_y], zorder=2, scalex=False, scaley=False, **line)  # type: ignore[arg-type]
    axes.text(x, y, text, ha="center", va="center", fontsize=8.5, zorder=6)


def _around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)
