"""AMD Quark's post-training quantization of ONNX models for CPUs: the nearest of its ready settings.

8-bit unsigned activations, signed weights: per channel with ranges by min-max, then its documented configurations
``U8S8_AAWS`` (percentile) and ``U8S8_AAWS_ADAROUND`` (rounding is learned). The model is written after each that is
nearer to fp32 on calibration images: what is there when time is up counts.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType

_JUDGED = 16


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives one image after the other."""

    def __init__(self, name: str, images: np.ndarray[Any, Any]) -> None:
        self.name, self.images = name, images
        self.rewind()

    def rewind(self) -> None:
        """Begin with the first image again."""
        self.at = iter(self.images)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the next image, or None behind the last."""
        image = next(self.at, None)
        return None if image is None else {self.name: image[None]}


def main() -> None:
    """Read a job, write its model."""
    from quark.onnx import ModelQuantizer

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    images = np.load(job["calibration"])
    output = Path(job["output"])
    tried = output.with_suffix(".tried.onnx")
    fp32 = _scores(Path(job["model"]), job["input"], images)
    nearest = -np.inf
    for name, config in _configurations():
        ModelQuantizer(config).quantize_model(job["model"], str(tried), Reader(job["input"], images))
        error = _scores(tried, job["input"], images) - fp32
        near = float(10 * np.log10((fp32**2).mean() / max((error**2).mean(), 1e-30)))
        print(f"{name}: {near:.1f} dB", flush=True)
        if near > nearest:
            nearest = near
            shutil.copyfile(tried, output)


def _configurations() -> Iterator[tuple[str, Any]]:
    from quark.onnx.quantization.config.config import Config, QuantizationConfig
    from quark.onnx.quantization.config.custom_config import get_default_config

    per_channel = QuantizationConfig(
        quant_format=QuantFormat.QDQ,
        calibrate_method=CalibrationMethod.MinMax,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    yield "per channel, min-max", Config(global_quant_config=per_channel)
    for name in ("U8S8_AAWS", "U8S8_AAWS_ADAROUND"):
        yield name, Config(global_quant_config=get_default_config(name))


def _scores(model: Path, name: str, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {name: images[at : at + 1]})[0] for at in range(_JUDGED)])


if __name__ == "__main__":
    main()
