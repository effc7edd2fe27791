"""What happened to the scores: differences, predictions, ties."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.rewrites.protocol import Declaration, Movement

HIGHEST = 5


def movement(before: NDArray[Any], after: NDArray[Any]) -> Movement:
    """Compare the scores of the same images before (the reference) and after, both (N, classes)."""
    difference = after.astype(np.float64) - before.astype(np.float64)
    size = float(np.sqrt(np.mean(np.square(before, dtype=np.float64))))
    moved = float(np.sqrt(np.mean(np.square(difference))))
    return Movement(
        images=len(before),
        largest=float(np.abs(difference).max(initial=0.0)),
        relative=moved / size if size > 0 else (0.0 if moved == 0 else float("inf")),
        predictions_changed=int(np.sum(before.argmax(axis=1) != after.argmax(axis=1))),
        ties_before=_ties(before),
        ties_after=_ties(after),
    )


def within(declared: Declaration, found: Movement) -> bool:
    """Return whether the scores moved no more than was declared."""
    return found.relative <= declared.within if declared.kind == "rounding" else found.largest == 0.0


def _ties(scores: NDArray[Any]) -> int:
    """Return the number of images with equal scores among the highest (all of them where there are fewer)."""
    highest = np.sort(scores, axis=1)[:, -HIGHEST:]
    return int(np.sum((np.diff(highest, axis=1) == 0).any(axis=1)))
