"""A drawing area whose colours follow the page: light, dark or print."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from quantize.quoting import visible

# Colours that stand for the page's CSS variables until the SVG is written: matplotlib itself takes no variable.
INK, FAINT, GRID = "#010101", "#020202", "#030303"
FP32, INT8, QDQ, TRIAL, LIMIT = "#040401", "#040402", "#040403", "#040404", "#040405"
_VARIABLES = {
    INK: "ink",
    FAINT: "faint",
    GRID: "grid",
    FP32: "fp32",
    INT8: "int8",
    QDQ: "qdq",
    TRIAL: "trial",
    LIMIT: "limit",
}
COLOURS = {"fp32": FP32, "int8": INT8, "qdq": QDQ}
SIZES = {"fp32": 50, "int8": 100, "qdq": 30}
"""Areas of markers: QLinear and QDQ often lie in one place, and both must show."""
MARKERS = {"fp32": "s", "int8": "o", "qdq": "D"}
DASHES: dict[str, Any] = {"fp32": "solid", "int8": "solid", "qdq": (0, (4, 2))}

_STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be found, read aloud, and takes the page's font
    "svg.hashsalt": "quantize",  # the same report gives the same bytes
    "text.parse_math": False,  # a name with a dollar sign is a name
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_LONGEST = 32


class Drawing:
    """A figure being drawn.

    Attributes:
        figure: The matplotlib figure.
        svg: The finished element, once the block that draws has ended.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained")
        self.svg = ""

    def finish(self, title: str) -> None:
        """Write the figure as an SVG element without size, named ``title`` for those who cannot see it."""
        FigureCanvasSVG(self.figure)
        stream = io.StringIO()
        with warnings.catch_warnings():
            # The page's font draws the text; matplotlib only measures it, by its own font, which lacks some letters.
            warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        text = stream.getvalue()
        text = text[text.index("<svg") :]
        for colour, name in _VARIABLES.items():
            text = text.replace(colour, f"var(--{name})")
        head, rest = text.split(">", 1)
        head = re.sub(r' (?:width|height)="[^"]*"', "", head)
        self.svg = f'{head} role="img" aria-label="{_attribute(title)}">{rest}'


@contextmanager
def drawing(title: str, *, width: float = 4.8, height: float = 3.3) -> Iterator[Drawing]:
    """Yield a figure to draw on; afterwards its SVG is there.

    Args:
        title: What the chart shows, in words.
        width: Inches of 72 units; the page scales it.
        height: Inches.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Drawing(width, height)
        yield figure
        figure.finish(title)


def label(text: str) -> str:
    """Return a name as a chart can show it: on one line, without what XML cannot hold, not too long."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"…{line[-_LONGEST + 1 :]}"


def _attribute(text: str) -> str:
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
