"""Does the fp32 model make sense on these images? And then: what is a candidate to reach?"""

from __future__ import annotations

from quantize.criterion import Criterion
from quantize.errors import ModelError
from quantize.evaluation.evaluation import near_chance
from quantize.processes.pool import available_cpus
from quantize.run.context import Prepared
from quantize.run.evaluator import Evaluator
from quantize.run.preset_probe import probe_presets, refuse_chance


def checked_criterion(context: Prepared, selection: Evaluator) -> Criterion:
    """Evaluate the fp32 model, refuse it where its scores make no sense, and return the criterion.

    Raises:
        DataError: It is no better than chance; the message names the preset that fits.
        ModelError: It gives every image the same scores.
    """
    baseline = selection.evaluate_baseline(context.model)
    asks = context.request.judges_accuracy
    if asks and baseline.constant_output:
        raise ModelError(
            "the fp32 model gives every image the same scores",
            where=str(context.request.model),
            expected="scores that depend on the image",
            advice="check that the file holds the trained weights; --criterion none goes on without a verdict",
        )
    if asks and baseline.labelled and near_chance(baseline):
        fits = probe_presets(
            context.model,
            context.images.listed,
            context.folder.work / "crops",
            threads=available_cpus(),
            workers=context.request.workers,
            progress=context.progress,
        )
        refuse_chance(baseline, asked_for=context.images.preprocessing.preset, fits=fits)
    expected = baseline.top_k(1).expected if baseline.labelled else None
    return context.config.tuning.accuracy_criterion.criterion(expected, asked=asks)
