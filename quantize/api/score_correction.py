"""Each class' mean error, taken off a candidate's scores in float where that brings it nearer to fp32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantize.data.batches import Batches
from quantize.engines.native_scores import corrected_scores, logits, logits_tensor
from quantize.evaluation.fidelity import fidelity_of
from quantize.formats import canonical
from quantize.models.artifact import ModelArtifact, save_model

CORRECTION = "scores"
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear")

Floats = npt.NDArray[np.float32]


def with_corrected_scores(
    candidate: ModelArtifact, fp32: ModelArtifact, calibration: Batches, *, always: bool = False
) -> ModelArtifact | None:
    """Return the candidate with its scores corrected, or None where that does not pay.

    The correction is judged on images that it was not made from: each half of the calibration images with the
    other's, by KL from fp32. What is returned is made from all of them. Beside the bias it takes away ties: sums of
    8-bit levels are often equal, sums of floats are not.

    Args:
        candidate: A quantized model in any format.
        fp32: The model that it was made from.
        calibration: The calibration images.
        always: Do not judge: a recorded decision is repeated.
    """
    model = canonical(candidate.proto())
    scores = logits_tensor(model)
    if any(node.op_type in _QUANTIZED and scores in (*node.input, *node.output) for node in model.graph.node):
        return None  # the scores themselves are 8-bit levels: the configuration asked for that
    images = np.concatenate([batch.images for batch in calibration])
    fixed = candidate.contract.fixed_batch
    if fixed is not None or len(images) < 2:
        return None
    reference = logits(fp32.proto(), [images])
    if not always:
        own = logits(model, [images])
        if not _pays(reference, own):
            return None
    corrected = corrected_scores(model, reference, [images])
    return save_model(corrected, candidate.path.with_name(f"{candidate.path.stem}-{CORRECTION}.onnx"))


def _pays(reference: Floats, own: Floats) -> bool:
    """Return whether each half's mean error brings the other half nearer to fp32, by mean KL."""
    before, after = 0.0, 0.0
    for made, judged in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        shift = (reference[made].astype(np.float64) - own[made]).mean(axis=0, keepdims=True)
        before += _divergence(reference[judged], own[judged])
        after += _divergence(reference[judged], (own[judged] + shift).astype(np.float32))
    return after < before


def _divergence(reference: Floats, own: Floats) -> float:
    count = len(reference)
    return float(fidelity_of(reference.reshape(count, -1), own.reshape(count, -1), "logits").divergences.sum())
