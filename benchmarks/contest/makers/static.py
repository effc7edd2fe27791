"""onnxruntime's ``quantize_static``: the best of its documented settings, by nearness to fp32 on calibration images.

Documented (onnxruntime.ai, "Quantize ONNX models"): pre-processing first, QDQ, weights per channel, 8-bit unsigned
activations with signed weights, 7 bits for weights on x86 without VNNI; ranges by min-max, its moving average,
percentile or entropy. The model is written after each setting that is nearer: what is there when time is up counts.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

_JUDGED = 16
_AT_ONCE = 10  # images whose activations are held at the same time
_SETTINGS: tuple[tuple[CalibrationMethod, dict[str, object]], ...] = (
    (CalibrationMethod.MinMax, {}),
    (CalibrationMethod.MinMax, {"CalibMovingAverage": True}),
    (CalibrationMethod.Percentile, {"CalibPercentile": 99.999, "CalibStridedMinMax": _AT_ONCE}),
    (CalibrationMethod.Entropy, {"CalibStridedMinMax": _AT_ONCE}),
)


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives one image after the other."""

    def __init__(self, name: str, images: np.ndarray[Any, Any]) -> None:
        self.name, self.images = name, images
        self.set_range(0, len(images))

    def set_range(self, start_index: int, end_index: int) -> None:
        """Give those from the first to before the second index."""
        self.at = iter(range(start_index, min(end_index, len(self.images))))

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the next image, or None behind the last."""
        at = next(self.at, None)
        return None if at is None else {self.name: self.images[at : at + 1]}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.images)


def main() -> None:
    """Read a job, write its model."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    images = np.load(job["calibration"])
    output = Path(job["output"])
    prepared, tried = output.with_suffix(".prepared.onnx"), output.with_suffix(".tried.onnx")
    quant_pre_process(job["model"], str(prepared), skip_symbolic_shape=True)
    fp32 = _scores(Path(job["model"]), job["input"], images)
    nearest = -np.inf
    for method, options in _SETTINGS:
        quantize_static(
            str(prepared),
            str(tried),
            Reader(job["input"], images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=bool(job.get("reduce_range")),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
            extra_options=options,
        )
        error = _scores(tried, job["input"], images) - fp32
        near = float(10 * np.log10((fp32**2).mean() / max((error**2).mean(), 1e-30)))
        print(f"{method.name} {options}: {near:.1f} dB", flush=True)
        if near > nearest:
            nearest = near
            shutil.copyfile(tried, output)


def _scores(model: Path, name: str, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {name: images[at : at + 1]})[0] for at in range(_JUDGED)])


if __name__ == "__main__":
    main()
