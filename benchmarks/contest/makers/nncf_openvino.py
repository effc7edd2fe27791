"""NNCF's post-training quantization for the OpenVINO runtime: mixed preset, a transformer named as one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Read a job, write its model."""
    import nncf
    import openvino

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    images = np.load(job["calibration"])
    model = openvino.Core().read_model(job["model"])
    model.reshape([1, *images.shape[1:]])
    made = nncf.quantize(
        model,
        nncf.Dataset([images[at : at + 1] for at in range(len(images))]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        model_type=nncf.ModelType.TRANSFORMER if job["transformer"] else None,
    )
    openvino.save_model(made, job["output"], compress_to_fp16=False)


if __name__ == "__main__":
    main()
