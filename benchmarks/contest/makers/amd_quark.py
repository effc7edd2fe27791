"""AMD Quark's post-training quantization of ONNX models for CPUs.

8-bit unsigned activations, signed weights per channel, ranges by min-max.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives one image after the other."""

    def __init__(self, name: str, images: np.ndarray[Any, Any]) -> None:
        self.name, self.at = name, iter(images)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the next image, or None behind the last."""
        image = next(self.at, None)
        return None if image is None else {self.name: image[None]}


def main() -> None:
    """Read a job, write its model."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType
    from quark.onnx import ModelQuantizer
    from quark.onnx.quantization.config.config import Config, QuantizationConfig

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    images = np.load(job["calibration"])
    settings = QuantizationConfig(
        quant_format=QuantFormat.QDQ,
        calibrate_method=CalibrationMethod.MinMax,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        enable_npu_cnn=False,
        include_cle=False,
    )
    ModelQuantizer(Config(global_quant_config=settings)).quantize_model(
        job["model"], job["output"], Reader(job["input"], images)
    )


if __name__ == "__main__":
    main()
