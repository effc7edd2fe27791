"""A model's own functions, written out in its graph."""

from __future__ import annotations

import onnx.inliner
from onnx import ModelProto

from quantize.errors import ModelError


def without_functions(model: ModelProto) -> ModelProto:
    """Return a model with its functions written out in its graph; one without functions as it is.

    Raises:
        ModelError: A call does not fit its function.
    """
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            "the model's functions cannot be written out",
            found=str(error).strip(),
            expected="calls that fit the functions that they name",
            advice="export the model again, or without functions",
        ) from error
