"""Views of a photograph that keep its label: crops of most of it, and their mirror images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from PIL import Image, ImageOps

# Sides of the crops as shares of the photograph's; below about 0.7 the object itself is often cut off.
_SHARES = (1.0, 0.92, 0.85, 0.78)
_PLACES = ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0))


@dataclass(frozen=True)
class View:
    """A part of a photograph, mirrored or not.

    Attributes:
        share: Side of the part as a share of the photograph's side, both ways: the aspect ratio is kept.
        across: Where it lies, 0 (left) to 1 (right).
        down: Where it lies, 0 (top) to 1 (bottom).
        mirrored: Whether left and right are swapped.
    """

    share: float
    across: float
    down: float
    mirrored: bool

    def of(self, photograph: Image.Image) -> Image.Image:
        """Return this view of a photograph, in whole pixels."""
        width, height = (round(side * self.share) for side in photograph.size)
        left = round((photograph.width - width) * self.across)
        top = round((photograph.height - height) * self.down)
        part = photograph.crop((left, top, left + width, top + height))
        return ImageOps.mirror(part) if self.mirrored else part


def views(count: int) -> tuple[View, ...]:
    """Return the first ``count`` views: the whole photograph, its mirror image, then ever smaller parts.

    Raises:
        ValueError: There are not so many (32).
    """
    whole = [(1.0, 0.5, 0.5)]
    parts = whole + [(share, across, down) for share, (across, down) in product(_SHARES[1:], _PLACES)]
    every = [View(share, across, down, mirrored) for share, across, down in parts for mirrored in (False, True)]
    if not 1 <= count <= len(every):
        raise ValueError(f"{count} views; there are 1 to {len(every)}")
    return tuple(every[:count])
