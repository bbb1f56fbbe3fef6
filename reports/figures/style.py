"""How every figure looks, and how it becomes SVG text or a PNG; knows nothing of what the figures show.

Settings are applied around one drawing (`styled`), never globally. Figures are made for two widths, because text in a
figure that is only scaled down cannot be read on a phone.

seaborn brings scipy.stats, together half of what a report imports: it is imported where something is drawn, which a
second process may do meanwhile (`reports/helper.py`).
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from search.files import write_whole

BLUE, VERMILION, GREEN, BLACK = "#0072b2", "#d55e00", "#00795c", "#1b1f24"
"""Okabe-Ito hues (green darkened for contrast on white): told apart with any colour vision."""
PALE, GREY = "#b4bac2", "#5c6570"
WIDE, NARROW = 8.2, 4.5
"""Inches: for a page column and for a phone."""
PNG_DPI, SVG_DPI = 160, 72
"""SVG knows no other than 72."""

_SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": BLACK,
    "text.color": BLACK,
    "text.parse_math": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.edgecolor": "#8b939d",
    "grid.color": "#e6e9ed",
    "svg.fonttype": "none",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.unicode_minus": False,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}


@contextmanager
def styled(identity: str) -> Iterator[None]:
    """Draw and save inside this: settings of the project, and ids in the SVG that are the same in every run."""
    import seaborn

    settings: dict[Any, Any] = {**_SETTINGS, "svg.hashsalt": identity}
    with seaborn.axes_style("whitegrid"), matplotlib.rc_context(settings):
        yield


def new_figure(height: float, *, narrow: bool) -> Figure:
    """An empty figure of one of the two widths, with a canvas of its own (no pyplot, no window)."""
    figure = Figure(figsize=(NARROW if narrow else WIDE, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def despine(axes: Axes, *, left: bool = False) -> None:
    """Take away the frame's upper and right line, and the left one where asked."""
    import seaborn

    seaborn.despine(ax=axes, left=left)


@contextmanager
def drawn_on(ax: Axes | None, height: float) -> Iterator[Axes]:
    """Draw inside this on the axes given, with settings of the project for what is drawn there and no other.

    Args:
        ax: None is a new figure by pyplot, which a notebook shows.
        height: of that figure, in inches.
    """
    with styled("notebook"):
        if ax is None:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(figsize=(WIDE, height), layout="constrained")
        yield ax


def shown(text: object, limit: int = 48) -> str:
    """Text as a figure can show it: on one line, characters that the font lacks as `?`, long ones cut.

    >>> shown("agreement")
    'agreement'
    """
    line = " ".join(str(text).split())
    line = "".join(letter if letter.isprintable() and ord(letter) < 0x250 else "?" for letter in line)
    return line if len(line) <= limit else f"{line[: limit - 3].rstrip()}..."


def to_svg(figure: Figure, identity: str, title: str, description: str) -> str:
    """The figure as an `<svg>` element for an HTML page: text as text, ids of its own, a title and a description.

    The same figure gives the same text, byte for byte. Coordinates have two decimals: a hundredth of a point is below
    what any screen or printer shows, and halves the size of a page of curves.
    """
    stream = io.StringIO()
    with styled(identity):
        _lay_out(figure, FigureCanvasSVG, SVG_DPI)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    body = stream.getvalue()
    body = _brief(body[body.index("<svg") :])
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.S)
    body = re.sub(r'\bid="', f'id="{identity}-', body)
    body = re.sub(r'(?:xlink:)?href="#', f'href="#{identity}-', body)
    body = body.replace("url(#", f"url(#{identity}-")
    box = re.search(r'viewBox="[^"]*"', body)
    assert box is not None
    labels = f'aria-labelledby="{identity}-title {identity}-desc"'
    head = f'<svg {box[0]} role="img" {labels}>\n'
    head += f' <title id="{identity}-title">{escape(title)}</title>\n'
    head += f' <desc id="{identity}-desc">{escape(description)}</desc>\n'
    return head + body[body.index(">") + 1 :].lstrip()


def _brief(svg: str) -> str:
    """Rounded coordinates inside tags (never in text), and the white space out that only sets lines apart."""
    number = re.compile(r"(?<=[ \"(])-?\d+\.\d{3,}(?=[ \",)\n])")
    short = re.sub(r"<[^>]*>", lambda tag: number.sub(lambda found: f"{float(found[0]):.2f}", tag[0]), svg)
    return re.sub(r" ?\n *", "\n", short).replace("\nL ", "L").replace('\n"', '"')


def png_of(figure: Figure, identity: str) -> bytes:
    """The figure as a PNG at 160 dots per inch, without software name or date; it keeps the layout of that drawing."""
    stream = io.BytesIO()
    with styled(identity):
        _lay_out(figure, FigureCanvasAgg, PNG_DPI)
        figure.savefig(stream, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return stream.getvalue()


def _lay_out(figure: Figure, canvas: type[FigureCanvasBase], dpi: float) -> None:
    """Place the axes for one canvas and its dots per inch, once: what is saved afterwards is drawn as it stands.

    Left to itself matplotlib draws a figure that has a layout engine twice whenever it is saved, even where the engine
    has nothing more to do; the first of both only for the layout.
    """
    engine, own, own_dpi = figure.get_layout_engine(), figure.canvas, figure.dpi
    if engine is None:
        return
    try:
        canvas(figure)
        figure.dpi = dpi
        engine.execute(figure)
    finally:
        figure.set_canvas(own)
        figure.dpi = own_dpi
        figure.set_layout_engine(None)


def to_png(figure: Figure, path: Path) -> None:
    """Write `png_of` to a file."""
    write_whole(path, png_of(figure, path.stem))
