"""Neural Compressor's post-training quantization of ONNX models, with its defaults: QLinear operators, min-max.

For transformers its documented answer to outliers, SmoothQuant, is on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


class Loader:
    """Gives one image after the other, as Neural Compressor wants it."""

    batch_size = 1

    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        self.images = images

    def __iter__(self) -> Iterator[tuple[np.ndarray[Any, Any], int]]:
        """Yield (image, label); the labels mean nothing."""
        for at in range(len(self.images)):
            yield self.images[at : at + 1], 0


def main() -> None:
    """Read a job, write its model."""
    from neural_compressor import PostTrainingQuantConfig, quantization

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    images = np.load(job["calibration"])
    recipes = {"smooth_quant": True, "smooth_quant_args": {"alpha": 0.5}} if job["transformer"] else {}
    config = PostTrainingQuantConfig(approach="static", calibration_sampling_size=[len(images)], recipes=recipes)
    made = quantization.fit(job["model"], config, calib_dataloader=Loader(images))
    if made is None:
        raise SystemExit("Neural Compressor gave no model")
    made.save(job["output"])


if __name__ == "__main__":
    main()
