"""Whether an input contract changes the scores by no more than rounding, and which rounding changes them least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.data.preprocessing import Preprocessing
from quantize.errors import ModelError
from quantize.rewrites.channel_affine import InputContract, contract_input
from quantize.rewrites.input_contract import fold_input_contract
from quantize.rewrites.protocol import Movement, movement
from quantize.rewrites.runner import scores

FLOAT_WITHIN = 1e-3
"""How far a contract may move an fp32 model's scores, see ``Declaration.within``: float32 rounding."""
QUANTIZED_WITHIN = 0.15
"""How far it may move a quantized model's: the input and, where it is rescaled, the first weight round elsewhere, and
a Conv that pads does so with one pixel value for all channels."""


def fold_nearest(
    model: ModelProto,
    contract: InputContract,
    preprocessing: Preprocessing,
    crops: NDArray[np.uint8],
    *,
    fp32: ModelProto,
    references: Sequence[ModelProto | None],
) -> ModelProto:
    """Return a quantized model with a contract, its first weight rounded again in the way that serves best.

    Args:
        model: The quantized model.
        contract: What it shall take.
        preprocessing: What its own input is made with.
        crops: Images (N, H, W, C), RGB or grey, 0-255.
        fp32: The model that it was made from: the one of its foldings whose scores are nearest to this one's is taken.
        references: See ``fold_input_contract``; None rounds the integers that the engine chose.
    """
    ways = [fold_input_contract(model, contract, preprocessing, reference=reference) for reference in references]
    return min(ways, key=lambda way: compare_contract(fp32, way, contract, preprocessing, crops).relative)


def check_input_contract(
    before: ModelProto,
    after: ModelProto,
    contract: InputContract,
    preprocessing: Preprocessing,
    crops: NDArray[np.uint8],
    *,
    within: float = QUANTIZED_WITHIN,
) -> Movement:
    """Check on real images that a contract moved the scores by no more than rounding.

    Args:
        before: The model as it was, in any format that onnxruntime runs.
        after: The model with the contract.
        contract: What ``after`` takes.
        preprocessing: What the input of ``before`` is made with.
        crops: Images (N, H, W, C), RGB or grey, 0-255.
        within: The largest move, see ``Declaration.within``.

    Raises:
        ModelError: The scores moved further.
    """
    moved = compare_contract(before, after, contract, preprocessing, crops)
    if moved.relative > within:
        raise ModelError(
            f"the input contract {contract} moves the scores by more than rounding",
            found=f"{moved.relative:.3g} of their root mean square on {moved.images} images",
            expected=f"at most {within:g}",
            advice="leave the input as it is: --input_contract as-is",
        )
    return moved


def compare_contract(
    before: ModelProto,
    after: ModelProto,
    contract: InputContract,
    preprocessing: Preprocessing,
    crops: NDArray[np.uint8],
) -> Movement:
    """Return how the scores of a model with a contract differ from those of one without, over the same images."""
    inputs = (preprocessing.normalize(crops), contract_input(contract, preprocessing, crops))
    old, new = (scores(model, _batches(model, given)) for model, given in zip((before, after), inputs, strict=True))
    return movement(old, new)


def _batches(model: ModelProto, given: NDArray[Any]) -> list[NDArray[Any]]:
    """Return images in batches of the size that a model insists on, the last one with the rest."""
    size = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or len(given)
    return [given[start : start + size] for start in range(0, len(given), size)]
