"""Rewrite the chosen candidate: check on the run's images, time on this machine, keep what pays off."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from quantize.evaluation.evaluation import Evaluation
from quantize.files import scratch_folder
from quantize.formats.float_weights import guard_float_layers
from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import speedups
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.input_form import in_form
from quantize.report.trials import RewriteSection, SpeedSection
from quantize.rewrites import Nearness, RatioInterval, RewriteRecord, Rewritten, rewrite, select_rewrites
from quantize.run.context import UNBOUNDED, Context
from quantize.run.left_out import left_out
from quantize.run.measuring import inputs_of

KEPT_REWRITES = "rewrites kept"
"""The journal's step that holds the names of the rewrites to apply, where another run decided them."""

_BATCH = 16
_SECONDS, _LONGER = 4.0, 4
"""How long a pair is timed, and how many times as long where a gain has to be shown that was only seen."""
_SEEN = 1.01
_RUNS = 60


def rewrite_candidate(context: Context, model: ModelArtifact) -> Rewritten:
    """Return both formats of a quantized model with the rewrites that hold what they declare and pay here.

    If the journal knows which ones were kept, these are applied, and nothing is timed.

    Args:
        context: The run.
        model: A quantized model in any format.
    """
    criterion, judging = context.criterion, context.judging
    kept: list[str] | None = context.ratios.journal.value(KEPT_REWRITES, kind=list[str])
    with scratch_folder("rewrites") as folder:

        def faster(before: ModelProto, after: ModelProto, shown: bool) -> RatioInterval:  # noqa: FBT001 - see Faster
            first, second = (
                save_model(_as_written(proto), folder / f"{name}.onnx")
                for name, proto in (("before", before), ("after", after))
            )
            return rewrite_ratio(context, first, second, shown=shown)

        def saved(candidate: ModelProto) -> ModelArtifact:
            return save_model(_as_written(candidate), folder / "candidate.onnx")

        def evaluated(candidate: ModelProto) -> Evaluation:
            return judging.evaluate(saved(candidate))

        def nearness(candidate: ModelProto) -> Nearness:
            fidelity = evaluated(candidate).fidelity
            assert fidelity is not None
            return Nearness(fidelity.agreement, fidelity.mean_kl)

        def met(candidate: ModelProto) -> bool:
            return criterion.met(judging.metric(saved(candidate), criterion))

        alone = context.effort.judges_rewrites
        judged = alone and criterion.metric != "none"
        timed = alone and kept is None
        # Where the criterion is missed before any rewrite, none can be blamed for missing it.
        blames = judged and timed and criterion.met(judging.metric(model, criterion))
        chosen = select_rewrites(context.config.rewrites if kept is None else kept)
        return rewrite(
            model.proto(),
            chosen,
            images=_checked_batches(context, model),
            opset=context.qlinear_opset,
            faster=faster if timed else None,
            nearness=nearness if judged else None,
            criterion=met if blames else None,
            left_out=left_out(context, chosen, timed=timed) if kept is None else None,
            progress=context.progress,
        )


def rewrite_ratio(
    context: Context, before: ModelArtifact, after: ModelArtifact, *, shown: bool = False
) -> RatioInterval:
    """Return how much faster a file is than another one: recorded, journaled or measured once, in alternation.

    Args:
        context: The run.
        before: A model.
        after: Another one.
        shown: Whether a gain counts only if it is shown: what looks like one in a first, short measurement is then
            measured longer, and that decides. On a busy machine the first one seldom shows a gain of a tenth.
    """
    models = {"before": before, "after": after}

    def measured() -> RatioInterval:
        seconds = context.pair_seconds(_SECONDS)
        longer = context.pair_seconds(_LONGER * _SECONDS)
        ratio = _measured(context, models, seconds)
        is_open = ratio.low < 1.0 < _SEEN <= ratio.ratio
        return _measured(context, models, longer) if shown and is_open and longer > seconds else ratio

    return context.ratios.of(before, after, measured)


def _measured(context: Context, models: dict[str, ModelArtifact], seconds: float) -> RatioInterval:
    plan = Plan(
        models={name: model.path for name, model in models.items()},
        baseline="before",
        control=False,
        threads=context.config.evaluation.performance.configs.cores_per_instance,
        iteration=_RUNS,
        precision=0.01,
        max_seconds=seconds,
        patience=context.pair_patience,
        seed=context.config.tuning.random_seed,
    )
    images = context.images
    inputs = inputs_of(images.evaluation, images.preprocessing, models)
    # What counts is on which side of 1 it lies.
    (gain,) = speedups(measure(plan, inputs, beside=1.0))
    low = gain.low if gain.low is not None else 0.0
    high = gain.high if gain.high is not None else float("inf")
    return RatioInterval(low=low, ratio=gain.ratio, high=high)


def _checked_batches(context: Context, model: ModelArtifact) -> list[npt.NDArray[Any]]:
    crops = context.images.evaluation
    few = crops.subset(range(min(context.effort.rewritten_images, len(crops))))
    images = in_form(model.contract, context.images.preprocessing.normalize(np.asarray(few.array[:])))
    size = model.contract.fixed_batch or _BATCH
    whole = len(images) // size * size
    return [images[start : start + size] for start in range(0, whole, size)] or [images]


def _as_written(model: ModelProto) -> ModelProto:
    """Return a model as it will be written: with its float layers kept from being quantized when a session opens."""
    written = ModelProto()
    written.CopyFrom(model)
    guard_float_layers(written)
    return written


def rewrite_section(record: RewriteRecord) -> RewriteSection:
    """Return what the report says of one rewrite."""
    return RewriteSection(
        name=record.name,
        kept=record.kept,
        reason=record.reason,
        nodes=record.nodes,
        declared=record.declared,
        declared_within=record.declared_within,
        moved=record.movement.relative if record.movement is not None else None,
        predictions_changed=record.movement.predictions_changed if record.movement is not None else None,
        agreement_change=record.nearness_moved.agreement if record.nearness_moved is not None else None,
        divergence_change=record.nearness_moved.divergence if record.nearness_moved is not None else None,
        speed=tuple(
            SpeedSection(
                format=name,
                ratio=ratio.ratio,
                low=ratio.low,
                high=ratio.high if ratio.high < UNBOUNDED else None,
            )
            for name, ratio in record.speed
        ),
    )
