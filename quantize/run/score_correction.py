"""Correct the mean error of each class in a candidate's scores, in float, if that brings them closer to fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from quantize.data.batches import Batches
from quantize.engines.native.builder.scores import corrected_scores, logits, logits_tensor, mean_shift
from quantize.evaluation.fidelity import fidelity_of
from quantize.evaluation.inference import by_class
from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.graph.nodes import LINEAR, default_opset
from quantize.models.artifact import ModelArtifact, ModelContract
from quantize.models.input_form import in_form
from quantize.processes.pool import available_cpus
from quantize.rewrites import Rewritten

CORRECTION = "scores"

Floats = npt.NDArray[np.float32]


def with_corrected_scores(
    rewritten: Rewritten,
    fp32: ModelArtifact,
    calibration: Batches,
    *,
    good_enough: Callable[[ModelProto], bool] | None,
) -> Rewritten | None:
    """Return both formats with their scores corrected, or None if that does not pay off.

    The correction is judged on images that it was not made from: each half of the calibration images with the
    other's, by KL from fp32. What is returned is made from all of them. Besides the bias, it removes ties: sums of
    8-bit levels are often equal, sums of floats are not.

    Args:
        rewritten: The quantized model in both formats.
        fp32: The model that it was made from, with the same input.
        calibration: The calibration images as both take them.
        good_enough: Whether the corrected model (QLinear) still meets the criterion; None repeats a recorded
            decision without judging.
    """
    model = canonical(rewritten.qdq)
    scores = logits_tensor(model)
    if any(node.op_type in LINEAR and scores in (*node.input, *node.output) for node in model.graph.node):
        return None  # the scores themselves are 8-bit levels: the configuration asked for that
    if fp32.contract.fixed_batch is not None or len(calibration.crops) < 2:
        return None

    def images() -> Iterator[npt.NDArray[Any]]:
        """Yield the images batch by batch: all of them, as floats, are too many to be held."""
        return (in_form(fp32.contract, batch.images) for batch in calibration)

    reference = logits(fp32.proto(), images(), available_cpus())  # which lets go of the model before it runs
    own = logits(model, images(), available_cpus())
    if good_enough is not None and not _pays(reference, own, fp32.contract):
        return None
    corrected = corrected_scores(model, reference, own)
    qlinear = to_qlinear(corrected, opset=default_opset(rewritten.qlinear))
    if good_enough is not None and not good_enough(qlinear):
        return None
    return replace(rewritten, qlinear=qlinear, qdq=to_qdq(corrected, opset=default_opset(rewritten.qdq)))


def _pays(reference: Floats, own: Floats, contract: ModelContract) -> bool:
    """Return whether each half's mean error brings the other half closer to fp32, by mean KL."""
    before, after = 0.0, 0.0
    for made, judged in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        shift = mean_shift(reference[made], own[made], by_class=contract.task != "one class")
        before += _divergence(reference[judged], own[judged], contract)
        after += _divergence(reference[judged], (own[judged] + shift).astype(np.float32), contract)
    return after < before


def _divergence(reference: Floats, own: Floats, contract: ModelContract) -> float:
    before = replace(contract, scores="logits")
    first, second = (by_class(scores.reshape(len(scores), -1), before) for scores in (reference, own))
    return float(fidelity_of(first, second, before.scores, before.task).divergences.sum())
