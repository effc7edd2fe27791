"""Post-training quantization of ONNX image classifiers for onnxruntime on CPU."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantize.data.dataloader import CalibrationDataLoader
    from quantize.errors import QuantizeError
    from quantize.public import benchmark, check, evaluate, predict, tune

__all__ = ["CalibrationDataLoader", "QuantizeError", "benchmark", "check", "evaluate", "predict", "tune"]

_HOMES = {
    "CalibrationDataLoader": "quantize.data.dataloader",
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


class _Package(ModuleType):
    """The package itself, in which ``benchmark`` is the function and not the room of the same name.

    Importing a module below ``quantize.measurement`` makes Python set the attribute to that room.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
