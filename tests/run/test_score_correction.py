from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from quantize.config import load_config
from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops
from quantize.formats import to_qdq, to_qlinear
from quantize.models.artifact import save_model
from quantize.rewrites import Rewritten
from quantize.run.preflight import preprocessing_for
from quantize.run.score_correction import with_corrected_scores
from tests.formats.plain_quantizer import quantized
from tests.run.colours import SETTINGS, SIDE, colours

COUNT = 1000


def test_the_images_that_scores_are_corrected_on_are_never_held_all_at_once(tmp_path: Path) -> None:
    fp32 = save_model(colours(), tmp_path / "fp32.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)
    preprocessing = preprocessing_for(fp32, load_config(None, SETTINGS).preprocessing, None)
    crops = Crops.from_array([str(number) for number in range(COUNT)], pixels, None, preprocessing)
    calibration = Batches(crops, preprocessing, 16)
    few = preprocessing.normalize(pixels[:8])
    model = quantized(colours(), few, float_ops=("GlobalAveragePool", "Flatten", "Softmax"))
    rewritten = Rewritten(to_qlinear(model), to_qdq(model), ())
    tracemalloc.start()
    try:
        with_corrected_scores(rewritten, fp32, calibration, good_enough=lambda _: True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < COUNT * SIDE * SIDE * 3 * 4 / 4
