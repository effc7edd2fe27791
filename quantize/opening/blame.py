"""Whose fault an error is: the file's, where onnx or onnxruntime find it wrong too, or this tool's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx.checker
import onnx.shape_inference
from onnx import ModelProto

from quantize.errors import ModelError, QuantizeError
from quantize.models.reading import read_model
from quantize.models.session import RUNTIME_ERRORS, open_session

WRONG = (
    *(onnx.checker.ValidationError, onnx.shape_inference.InferenceError, *RUNTIME_ERRORS),
    *(RuntimeError, ValueError, TypeError, UnicodeDecodeError),  # of pybind11 and protocol buffers
)
"""What onnx, onnxruntime, pybind11 and protocol buffers raise about a model that is wrong."""


@contextmanager
def blamed(path: Path) -> Iterator[None]:
    """Tell what fails in this tool's own code on a model that onnx or onnxruntime find wrong as damage of its file.

    Raises:
        ModelError: It is damaged.
        Exception: It is not: a bug.
    """
    try:
        yield
    except (QuantizeError, MemoryError):
        raise
    except Exception as error:
        wrong = _what_is_wrong(read_model(path))
        if wrong is None:
            raise
        raise ModelError(
            "the model is not valid ONNX",
            where=str(path),
            found=wrong,
            expected="a model that onnx finds valid, and onnxruntime opens",
            advice="export the model again, or copy or download it again",
        ) from error


def _what_is_wrong(model: ModelProto) -> str | None:
    """Return what onnx or onnxruntime find wrong with a model; None: nothing."""
    try:
        onnx.checker.check_model(model, full_check=True)
        open_session(model.SerializeToString())
    except ModelError as error:
        return error.found or error.problem
    except WRONG as error:
        return str(error).strip() or type(error).__name__
    return None
