"""From a batch of images to scores (N, classes), whatever shapes the model insists on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import ModelError
from quantize.models.artifact import ModelContract
from quantize.models.input_form import filled, in_form


def scores_of(session: Any, contract: ModelContract, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 (N, classes), the model's scores of ``images`` (N, 3, H, W) float32.

    A model of a fixed batch size gets its batches, the last one filled up with copies that are thrown away.

    Raises:
        ModelError: The output does not squeeze to (N, classes).
    """
    given = in_form(contract, images)
    fixed = contract.input.shape[0]
    size = fixed if isinstance(fixed, int) and fixed > 0 else len(given)
    parts = [_run(session, contract, given[start : start + size], size) for start in range(0, len(given), size)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _run(session: Any, contract: ModelContract, given: NDArray[Any], size: int) -> NDArray[np.float32]:
    (output,) = session.run([contract.output.name], {contract.input.name: filled(given, size)})
    scores = np.asarray(output, dtype=np.float32)
    if _without_ones(scores.shape) != _without_ones((size, contract.classes)):
        raise ModelError(
            "the output is not one score a class",
            where=contract.output.name,
            found=f"shape {scores.shape}",
            expected=f"a shape that squeezes to ({size}, {contract.classes})",
        )
    return scores.reshape(size, contract.classes)[: len(given)]


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [dimension for dimension in shape if dimension != 1]
