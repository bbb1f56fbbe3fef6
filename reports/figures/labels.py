"""Where a label goes so that it covers no point, no other label and no edge: try places, take the cheapest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.figures.style import GREY

_DISTANCES = (0.0, 9.0, 22.0, 38.0, 58.0)
_DIRECTIONS = tuple(math.radians(angle) for angle in (35, -35, 90, -90, 145, -145, 0, 180, 60, -60, 120, -120))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the canvas."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: "Box") -> float:
        """Area in common."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.top, other.top) - max(self.bottom, other.bottom)
        return wide * high if wide > 0 and high > 0 else 0.0

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
    taken = [_around(float(x), float(y), 4.5, 4.5) for x, y in map(axes.transData.transform, obstacles)]
    placed: list[Box] = []
    for label in sorted(labels, key=lambda label: len(label.text)):
        x, y = (float(value) for value in axes.transData.transform((label.x, label.y)))
        text = label.text
        place = _best((x, y), _size(axes, text), bounds, [*taken, *placed])
        if place.covered > 0.04 * place.box.area and label.short:
            text = label.short
            place = _best((x, y), _size(axes, text), bounds, [*taken, *placed])
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


def _best(spot: tuple[float, float], size: tuple[float, float], bounds: Box, taken: list[Box]) -> _Place:
    """The place with the least covered area, the nearest of equals."""
    options: list[tuple[float, int, _Place]] = []
    for distance in _DISTANCES:
        for direction in _DIRECTIONS:
            reach = 6 + distance
            x = spot[0] + math.cos(direction) * (reach + size[0] / 2)
            y = spot[1] + math.sin(direction) * (reach + size[1] / 2)
            box = _around(x, y, size[0] / 2, size[1] / 2)
            covered = 4 * (box.area - box.shared(bounds)) + sum(box.shared(other) for other in taken)
            options.append((covered + 0.6 * distance, len(options), _Place(box, distance, covered)))
    return min(options, key=lambda option: option[:2])[2]


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
