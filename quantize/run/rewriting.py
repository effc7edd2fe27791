"""Rewrites of the chosen candidate: checked on the run's images, timed on this machine, kept where they pay."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto

from quantize.criterion import Criterion
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import Preprocessing
from quantize.evaluation.evaluation import Evaluation
from quantize.formats.float_weights import guard_float_layers
from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import speedups
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.input_form import in_form
from quantize.progress import Progress
from quantize.report.trials import RewriteSection, SpeedSection
from quantize.rewrites import RatioInterval, Rewrite, RewriteRecord, Rewritten, rewrite
from quantize.run.evaluator import Evaluator, metric_of
from quantize.run.measuring import prepared_inputs
from quantize.run.ratios import Ratios

_CHECKED_IMAGES = 64
_BATCH = 16
_SECONDS = 4.0
_RUNS = 60


@dataclass(frozen=True)
class Workshop:
    """Applies rewrites to a quantized model.

    Attributes:
        crops: The evaluation images.
        preprocessing: How crops become inputs.
        evaluator: Knows the fp32 model's scores on them.
        criterion: What must still be met.
        threads: Threads to time with.
        seed: Of the timing.
        progress: Told the rewrites done.
        ratios: Speed ratios that are known already, and those that are measured; None: every one is measured.
    """

    crops: Crops
    preprocessing: Preprocessing
    evaluator: Evaluator
    criterion: Criterion
    threads: int
    seed: int
    progress: Progress
    ratios: Ratios | None = None

    def apply(self, model: ModelArtifact, rewrites: Sequence[Rewrite], *, opset: int, timed: bool = True) -> Rewritten:
        """Return both formats of ``model`` with the rewrites that hold what they declare and pay here.

        Args:
            model: A quantized model in any format.
            rewrites: What to try, in order.
            opset: Of the QLinear form.
            timed: False keeps every rewrite that is right, whatever it gains: a recorded decision is repeated.
        """
        few = self.crops.subset(range(min(_CHECKED_IMAGES, len(self.crops))))
        images = in_form(model.contract, self.preprocessing.normalize(np.asarray(few.array[:])))
        size = model.contract.fixed_batch or _BATCH
        whole = len(images) // size * size
        batches = [images[start : start + size] for start in range(0, whole, size)] or [images]
        with tempfile.TemporaryDirectory(prefix="quantize-rewrites-") as folder:

            def faster(before: ModelProto, after: ModelProto) -> RatioInterval:
                models = {
                    name: save_model(_as_written(proto), Path(folder) / f"{name}.onnx")
                    for name, proto in (("before", before), ("after", after))
                }
                if self.ratios is None:
                    return self.ratio(models)
                return self.ratios.of(models["before"], models["after"], lambda: self.ratio(models))

            def evaluated(candidate: ModelProto) -> Evaluation:
                return self.evaluator.evaluate(save_model(_as_written(candidate), Path(folder) / "candidate.onnx"))

            def agreement(candidate: ModelProto) -> float:
                fidelity = evaluated(candidate).fidelity
                assert fidelity is not None
                return fidelity.agreement

            def criterion(candidate: ModelProto) -> bool:
                return self.criterion.met(metric_of(evaluated(candidate), self.criterion))

            judged = self.criterion.metric != "none"
            return rewrite(
                model.proto(),
                rewrites,
                images=batches,
                opset=opset,
                faster=faster if timed else None,
                agreement=agreement if judged else None,
                criterion=criterion if judged and timed and self._meets(model) else None,
                progress=self.progress,
            )

    def _meets(self, model: ModelArtifact) -> bool:
        """Return whether the criterion is met before any rewrite: else none can be blamed for missing it."""
        return self.criterion.met(metric_of(self.evaluator.evaluate(model), self.criterion))

    def ratio(self, models: dict[str, ModelArtifact]) -> RatioInterval:
        """Return how much faster the model ``after`` is than the model ``before``, measured in alternation."""
        plan = Plan(
            models={name: model.path for name, model in models.items()},
            baseline="before",
            control=False,
            threads=self.threads,
            iteration=_RUNS,
            precision=0.01,
            max_seconds=_SECONDS,
            seed=self.seed,
        )
        inputs = {name: prepared_inputs(self.crops, self.preprocessing, model) for name, model in models.items()}
        (found,) = speedups(measure(plan, inputs))
        low = found.low if found.low is not None else 0.0
        high = found.high if found.high is not None else float("inf")
        return RatioInterval(low=low, ratio=found.ratio, high=high)


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
        agreement_change=record.agreement_moved,
        speed=tuple(
            SpeedSection(format=name, ratio=ratio.ratio, low=ratio.low, high=ratio.high if ratio.high < 1e9 else None)
            for name, ratio in record.speed
        ),
    )
