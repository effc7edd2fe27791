"""Numbers for readers: percent, points, milliseconds; names and sentences of a drawing."""

from __future__ import annotations

import re

from quantize.criterion import SpeedRatio
from quantize.quoting import sentence

NOTHING = "–"


def percent(fraction: float | None, digits: int = 2) -> str:
    """Return 0.6725 as ``67.25 %``."""
    return NOTHING if fraction is None else f"{fraction * 100:.{digits}f} %"


def points(fraction: float | None, digits: int = 2) -> str:
    """Return 0.0065 as ``+0.65``: percentage points with their sign."""
    return NOTHING if fraction is None else f"{_no_minus_zero(fraction * 100, digits):+.{digits}f}"


def bounds(low: float | None, high: float | None, *, factor: float = 1.0, digits: int = 2) -> str:
    """Return an interval as ``[a, b]``, or a dash if it is unknown; 100 as ``factor`` shows fractions as percent."""
    if low is None or high is None:
        return NOTHING
    return f"[{_no_minus_zero(low * factor, digits):.{digits}f}, {_no_minus_zero(high * factor, digits):.{digits}f}]"


def p_value(value: float | None) -> str:
    """Return a p-value to three digits, and ``<0.001`` below."""
    return NOTHING if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def milliseconds(nanoseconds: float | None, digits: int = 2) -> str:
    """Return 3210000 as ``3.21 ms``, and what is below a tenth of a millisecond with three digits at least."""
    if nanoseconds is None:
        return NOTHING
    return f"{nanoseconds / 1e6:.{max(digits, 3) if 0 < abs(nanoseconds) < 1e5 else digits}f} ms"


def megabytes(size: int | None) -> str:
    """Return 1293388 as ``1.29 MB`` (1 MB is a million bytes), and 12345 as ``12.3 kB``."""
    if size is None:
        return NOTHING
    return f"{size / 1e3:.1f} kB" if 0 < size < 1e5 else f"{size / 1e6:.2f} MB"


def times(ratio: float | None, digits: int = 2) -> str:
    """Return 2.08 as ``2.08x``."""
    if ratio is None:
        return NOTHING
    return f"{ratio:.2g}x" if 0 < ratio < 0.1 else f"{ratio:.{digits}f}x"


def times_with_bounds(value: SpeedRatio | None) -> str:
    """Return a ratio of times with its interval, such as ``2.08x [2.06, 2.10]``."""
    return NOTHING if value is None else f"{times(value.ratio)} {bounds(value.low, value.high)}"


_MOST_IMAGES = 50_000
"""Images of ILSVRC2012 validation, the largest set that a classifier is usually judged on."""


def would_settle(images: int) -> str:
    """Return how many images would settle a verdict, where anyone could have that many."""
    if images > _MOST_IMAGES:
        return f"no practical number of images would settle it (ImageNet has {_MOST_IMAGES:,})"
    return f"about {images:,} images would settle it"


def number(value: float | None, digits: int = 4) -> str:
    """Return a plain number."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def seconds(value: float) -> str:
    """Return 93.2 as ``1 min 33 s``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def _no_minus_zero(value: float, digits: int) -> float:
    return round(value, digits) + 0.0


_NO_BREAK = "\N{NO-BREAK SPACE}"
_NUMBER_AND_UNIT = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|kB|MB|GB|dB|G/s)(?!\w))")
_INTERVAL = re.compile(r"(?<=\d,) (?=-?[\d.]+\])")


def unparted(text: str) -> str:
    """Return a text with no-break spaces between numbers and their units, and within intervals."""
    return _INTERVAL.sub(_NO_BREAK, _NUMBER_AND_UNIT.sub(_NO_BREAK, text))


_LONGEST = 400


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Return a name or a sentence on one line, of at most ``longest`` characters, as ``quantize.quoting`` shows it."""
    return sentence(text, longest)
