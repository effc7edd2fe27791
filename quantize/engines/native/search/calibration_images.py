"""The calibration images, whole and in two halves.

Corrections are judged on calibration images that their statistics did not see: each half of the images is scored
with candidates built from the other half, so all of them count. The final candidates are built from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from quantize.data.batches import Batch

Part = Literal["even", "odd", "all"]
HALVES: tuple[Part, Part] = ("even", "odd")


class CalibrationImages:
    """The calibration images, as a whole and in two halves: every other image."""

    def __init__(self, batches: Iterable[Batch], fingerprint: str) -> None:
        """Set up.

        Args:
            batches: The images, (N, 3, H, W); iterated several times.
            fingerprint: Of the images and their preprocessing.
        """
        self._batches = batches
        self.fingerprint = fingerprint

    def images(self, part: Part = "all", most: int | None = None) -> Iterator[Batch]:
        """Yield the images of a part, at most so many."""
        left, position = most, 0
        for batch in self._batches:
            numbers = range(position, position + len(batch.images))
            position += len(batch.images)
            chosen = [at for at, number in enumerate(numbers) if part == "all" or HALVES[number % 2] == part][:left]
            left = None if left is None else left - len(chosen)
            if chosen:
                labels = None if batch.labels is None else batch.labels[chosen]
                yield Batch(tuple(batch.ids[at] for at in chosen), batch.images[chosen], labels)
            if left == 0:
                return

    def can_be_halved(self) -> bool:
        """Return whether there is an image in both halves."""
        return sum(len(batch.images) for batch in self.images(most=2)) == 2
