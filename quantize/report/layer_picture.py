"""The layers of a model as a picture: a box each, from the image at the top to the scores at the bottom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from quantize.quoting import visible
from quantize.report.layer_map import COMPUTES, SHORT, LayerRow
from quantize.report.wording import milliseconds

_WIDTH, _HEIGHT = 172, 40
_ACROSS, _DOWN = 20, 22
_MARGIN = 12
"""Around all boxes; arrows that pass boxes bend out by a little more than half of ``_ACROSS``, and must not be cut."""
_LETTERS = 24
_MOST = 600
"""Boxes up to which a picture can be read, and a page stays small; the table has every layer."""
_BAR = _WIDTH - 16


@dataclass(frozen=True)
class _Box:
    """A layer and where it stands, in pixels."""

    number: int
    row: LayerRow
    x: float
    y: float


def layer_picture(rows: Sequence[LayerRow]) -> str | None:
    """Return the layers as an SVG element; None where nothing says which reads which, or there are over 600.

    Nodes that are computed as part of a neighbour are left out, and what they read is drawn into who reads them. Each
    box has ``data-layer``, the position of its row.
    """
    reads = _reads(rows)
    if not any(reads.values()) or len(reads) > _MOST:
        return None
    boxes = _placed(rows, reads)
    width = max(box.x for box in boxes.values()) + _WIDTH + _MARGIN
    height = max(box.y for box in boxes.values()) + _HEIGHT + _MARGIN
    longest = max((row.int8_ns or 0.0 for row in rows), default=0.0)
    parts = [
        f'<svg class="layers" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="The layers of the model: {len(boxes)} boxes; the table below has the same figures">'
    ]
    parts += _arrows(boxes, reads)
    parts += [_drawn(box, longest) for box in boxes.values()]
    return "".join([*parts, "</svg>"])


def _reads(rows: Sequence[LayerRow]) -> dict[int, set[int]]:
    """Return which shown layers each shown layer reads, through those that are not shown."""
    behind: dict[int, set[int]] = {}
    for number, row in enumerate(rows):
        own: set[int] = set()
        for read in row.inputs:
            own |= {read} if rows[read].computes != "joined" else behind[read]
        behind[number] = own
    return {number: read for number, read in behind.items() if rows[number].computes != "joined"}


def _placed(rows: Sequence[LayerRow], reads: dict[int, set[int]]) -> dict[int, _Box]:
    """Return the boxes: a row of the picture for each length of the way from the image, near what they read."""
    depth: dict[int, int] = {}
    levels: defaultdict[int, list[int]] = defaultdict(list)
    for number, read in reads.items():
        depth[number] = 1 + max((depth[other] for other in read), default=-1)
        levels[depth[number]].append(number)
    widest = max(len(level) for level in levels.values())
    middle = _MARGIN + (widest * (_WIDTH + _ACROSS) - _ACROSS) / 2
    centre: dict[int, float] = {}
    boxes: dict[int, _Box] = {}
    for level, numbers in sorted(levels.items()):
        wanted = {number: _mean([centre[read] for read in reads[number]], middle) for number in numbers}
        ordered = sorted(numbers, key=lambda number: (wanted[number], number))
        left = middle - (len(ordered) * (_WIDTH + _ACROSS) - _ACROSS) / 2
        for place, number in enumerate(ordered):
            x, y = left + place * (_WIDTH + _ACROSS), _MARGIN + level * (_HEIGHT + _DOWN)
            centre[number] = x + _WIDTH / 2
            boxes[number] = _Box(number, rows[number], x, y)
    return dict(sorted(boxes.items()))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _arrows(boxes: dict[int, _Box], reads: dict[int, set[int]]) -> Iterator[str]:
    for number, read in reads.items():
        to = boxes[number]
        for other in sorted(read):
            start = boxes[other]
            x1, y1, x2, y2 = start.x + _WIDTH / 2, start.y + _HEIGHT, to.x + _WIDTH / 2, to.y
            passed = abs(x1 - x2) < 1 and y2 - y1 > _DOWN + 1  # it would run through the boxes between
            bend = (_WIDTH / 2 + _ACROSS / 2) * 1.34 if passed else 0.0
            half = min((y2 - y1) / 2, 40.0)
            yield (f'<path d="M{x1:g} {y1:g}C{x1 + bend:g} {y1 + half:g} {x2 + bend:g} {y2 - half:g} {x2:g} {y2:g}"/>')


def _drawn(box: _Box, longest: float) -> str:
    row, x, y = box.row, box.x, box.y
    name = visible(" ".join(row.name.split())) or row.op_type
    short = name if len(name) <= _LETTERS else f"…{name[-_LETTERS + 1 :]}"
    error = "" if row.sqnr_decibel is None else f"{row.sqnr_decibel:.0f} dB"
    words = f"{row.op_type} · {SHORT[row.computes]} · {milliseconds(row.int8_ns, 3)}"
    told = f"{name}: {row.op_type}, computed {COMPUTES[row.computes]}; fp32 {milliseconds(row.fp32_ns, 3)}, "
    told += f"int8 {milliseconds(row.int8_ns, 3)}" + (f"; error {error}" if error else "")
    cost = (row.int8_ns or 0.0) / longest * _BAR if longest else 0.0
    return (
        f'<g class="{row.computes}" data-layer="{box.number}" transform="translate({x:g} {y:g})">'
        f"<title>{escape(told)}</title>"
        f'<rect class="box" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>'
        f'<rect class="kind" width="5" height="{_HEIGHT}" rx="2"/>'
        f'<text x="11" y="14" class="name">{escape(short)}</text>'
        f'<text x="11" y="27">{escape(_cut(words, 30))}</text>'
        f'<text x="{_WIDTH - 6}" y="14" text-anchor="end">{error}</text>'
        f'<rect class="cost" x="11" y="32" width="{cost:.1f}" height="4"/></g>'
    )


def _cut(text: str, letters: int) -> str:
    clean = visible(text)
    return clean if len(clean) <= letters else f"{clean[: letters - 1]}…"
