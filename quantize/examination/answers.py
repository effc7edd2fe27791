"""Are the model's answers numbers?"""

from __future__ import annotations

import numpy as np

from quantize.examination.findings import Examination, Finding, right, wrong
from quantize.examination.trials import Predictions

_NAME = "answers"


def examine_answers(predictions: Predictions) -> Examination:
    """Return whether the model gives numbers for the images, under the preprocessing of the settings."""
    broken = int(np.isnan(predictions.logs).any(axis=1).sum())
    images = len(predictions.logs)
    if not broken:
        return right(_NAME, f"finite on all {images:,} images")
    return wrong(
        _NAME,
        f"NaN or infinities on {broken:,} of {images:,} images",
        Finding(
            check=_NAME,
            what="The fp32 model outputs NaN or infinities.",
            sure="certain",
            evidence=f"on {broken:,} of {images:,} images, before anything is quantized",
            advice="Check its outputs for the same images where it was exported. Tuning refuses it.",
        ),
    )
