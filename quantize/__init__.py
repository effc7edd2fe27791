"""Post-training quantization of ONNX image classifiers for onnxruntime on CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantize.data.batches import CalibrationDataLoader
    from quantize.errors import QuantizeError
    from quantize.public import benchmark, check, evaluate, predict, tune

__all__ = ["CalibrationDataLoader", "QuantizeError", "benchmark", "check", "evaluate", "predict", "tune"]

_HOMES = {
    "CalibrationDataLoader": "quantize.data.batches",
    "QuantizeError": "quantize.errors",
    **dict.fromkeys(("benchmark", "check", "evaluate", "predict", "tune"), "quantize.public"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package alone costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
