"""Post-training quantization of ONNX image classifiers for onnxruntime on CPU."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantize.commands.inspection import Inspection
    from quantize.commands.verify import Verification
    from quantize.data.batches import CalibrationDataLoader
    from quantize.errors import ExitCode, QuantizeError
    from quantize.examination.findings import DoctorReport
    from quantize.gate.result import GateResult
    from quantize.prediction.answers import PredictReport
    from quantize.public.calibrating import calibration_loader
    from quantize.public.checking import check, verify
    from quantize.public.comparing import RunComparison, compare
    from quantize.public.looking import doctor, inspect, package
    from quantize.public.measuring import benchmark, evaluate
    from quantize.public.predicting import predict
    from quantize.public.result import ModelFigures, TuneResult
    from quantize.public.tuning import tune
    from quantize.report.benchmark import BenchmarkReport
    from quantize.report.models import AccuracySection
    from quantize.report.schema import RunReport

    __version__: str

# When it is imported, onnxruntime writes the identity of its session into TMPDIR, and may send events: what a run works
# on is the user's own. Set to 0 it does so again.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "AccuracySection",
    "BenchmarkReport",
    "CalibrationDataLoader",
    "DoctorReport",
    "ExitCode",
    "GateResult",
    "Inspection",
    "ModelFigures",
    "PredictReport",
    "QuantizeError",
    "RunComparison",
    "RunReport",
    "TuneResult",
    "Verification",
    "__version__",
    "benchmark",
    "calibration_loader",
    "check",
    "compare",
    "doctor",
    "evaluate",
    "inspect",
    "package",
    "predict",
    "tune",
    "verify",
]

_HOMES = {
    "AccuracySection": "report.models",
    "BenchmarkReport": "report.benchmark",
    "CalibrationDataLoader": "data.batches",
    "DoctorReport": "examination.findings",
    "ExitCode": "errors",
    "GateResult": "gate.result",
    "Inspection": "commands.inspection",
    "ModelFigures": "public.result",
    "PredictReport": "prediction.answers",
    "QuantizeError": "errors",
    "RunComparison": "public.comparing",
    "RunReport": "report.schema",
    "TuneResult": "public.result",
    "Verification": "commands.verify",
    "benchmark": "public.measuring",
    "calibration_loader": "public.calibrating",
    "check": "public.checking",
    "compare": "public.comparing",
    "doctor": "public.looking",
    "evaluate": "public.measuring",
    "inspect": "public.looking",
    "package": "public.looking",
    "predict": "public.predicting",
    "tune": "public.tuning",
    "verify": "public.checking",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package alone costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("quantize")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"quantize.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
