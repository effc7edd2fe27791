"""Where the layers of Neural Compressor's model compute: measured on this machine, journaled, told in the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from onnx import ModelProto, numpy_helper

from quantize.criterion import Criterion, is_slower
from quantize.engines.inc.float_placement import placed, stored_weights
from quantize.engines.inc.placement_search import Option, Placement, PlacementSearch
from quantize.engines.native.builder.layers import arrays, layers
from quantize.engines.native.builder.rewriting import rewritten
from quantize.engines.native.search.profiled_times import ProfiledTimes
from quantize.engines.native.search.quantized_weights import QuantizedWeights
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.sensitivity import measure_sensitivity
from quantize.engines.native.search.units import unit_graph
from quantize.engines.protocols import Trial
from quantize.formats import to_qdq
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.operators.profile import profile
from quantize.measurement.timing.measure import Inputs, measure
from quantize.measurement.timing.measurement import speedups
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact, save_model
from quantize.processes.pool import available_cpus
from quantize.recipe import Recipe
from quantize.report.placement import PlacementOptionSection, PlacementSection, RatioSection
from quantize.rewrites import RatioInterval, select_rewrites
from quantize.run.context import Context
from quantize.run.contracted_build import Written
from quantize.run.evaluator import Evaluator, metric_of
from quantize.run.export import finished_model
from quantize.run.inc_engine import weighted_int8
from quantize.run.ratios import Ratios
from quantize.run.short_pair import short_pair

_SECONDS = 10.0
_RUNS = 60
_PROFILED_RUNS = 30
_SENSITIVITY_IMAGES = 64


@dataclass(frozen=True)
class PlacedTrial:
    """A trial after its placement was chosen.

    Attributes:
        trial: The trial, with the recipe and the model of the placement.
        met: Whether that model meets the criterion.
        section: What the report says of the choice.
    """

    trial: Trial
    met: bool
    section: PlacementSection


class Bench:
    """Builds, times and judges placements of one trial's model.

    Attributes:
        fp32: The prepared fp32 model.
        candidate: The trial's model, as Neural Compressor built it.
    """

    def __init__(
        self, context: Context, trial: Trial, criterion: Criterion, selection: Evaluator, ratios: Ratios
    ) -> None:
        assert trial.artifact is not None
        self._context, self._trial, self._criterion = context, trial, criterion
        self._selection, self._ratios = selection, ratios
        self.fp32, self.candidate = context.model.proto(), trial.artifact.proto()
        self._rewrites = tuple(one.name for one in select_rewrites(context.config.rewrites))
        self._built: dict[str, ModelArtifact] = {}

    def bare(self, recipe: Recipe) -> ModelProto:
        """Return a placement's model before its rewrites, which are applied and timed one by one afterwards."""
        return placed(self.candidate, self.fp32, recipe)

    def built(self, recipe: Recipe, /) -> ModelArtifact:
        """Return a placement's model as it would be written, with all rewrites."""
        if recipe.id not in self._built:
            model = self._finished(rewritten(to_qdq(self.bare(recipe)), self._rewrites))
            self._built[recipe.id] = save_model(model, self._context.folder.work / "placed" / f"{recipe.id}.onnx")
        return self._built[recipe.id]

    def profile(self, recipe: Recipe, /) -> ProfiledTimes:
        """Return the time of fp32 and of a placement's model, op by op: recorded, or measured once."""

        def compute() -> Any:
            recorded = self._ratios.profiles.get(recipe.id)
            return (recorded or self._profiled(recipe)).model_dump(mode="json")

        found = ProfiledTimes.model_validate(self._ratios.journal.step(f"profile {recipe.id}", compute))
        self._ratios.used_profiles[recipe.id] = found
        return found

    def ratio(self, before: Recipe | None, after: Recipe, /) -> RatioInterval:
        """Return how much faster a placement's model is, recorded or measured in alternation."""
        first = self._context.model if before is None else self.built(before)
        second = self.built(after)
        if first.graph_sha256 == second.graph_sha256:
            return RatioInterval(1.0, 1.0, 1.0)
        return self._ratios.of(first, second, lambda: measured_ratio(self._context, first, second))

    def judged(self, recipe: Recipe, /) -> tuple[float | None, bool]:
        """Return a placement's metric, and whether it meets the criterion: before its rewrites, as for every trial."""
        if self._criterion.metric == "none":
            return None, True
        metric = self._trial.metric if recipe == self._trial.recipe else self._metric(recipe)
        return metric, self._criterion.met(metric)

    def sensitivity(self) -> Mapping[str, float]:
        """Return the mean KL from fp32's scores, in nats, where one layer's weights alone are stored in int8."""

        def compute() -> dict[str, float]:
            return dict(self._sensitivity())

        found: dict[str, float] = self._ratios.journal.step("sensitivity of stored weights", compute)
        return found

    def _sensitivity(self) -> Mapping[str, float]:
        context, values = self._context, arrays(self.fp32)
        constants = {}
        for layer in layers(self.fp32):
            stored = stored_weights(layer, values[layer.weight])
            constants[layer.weight] = numpy_helper.from_array(stored.values, layer.weight)
        calibration = context.batches(context.images.calibration)
        found = measure_sensitivity(
            self.fp32,
            unit_graph(self.fp32, ("Conv", "Gemm", "MatMul")),
            QuantizedWeights(constants, {}),
            {},
            Scorer(context.model, calibration, most=_SENSITIVITY_IMAGES, threads=available_cpus()),
            fixed_batch=context.model.contract.fixed_batch,
            progress=context.progress,
        )
        return found.weights

    def _finished(self, model: ModelProto) -> ModelProto:
        return finished_model(to_qdq(model), self._context.target)

    def _metric(self, recipe: Recipe) -> float:
        model = self._finished(self.bare(recipe))
        judged = save_model(model, self._context.folder.work / "placed" / f"{recipe.id}-bare.onnx")
        return metric_of(self._selection.evaluate(judged), self._criterion)

    def _profiled(self, recipe: Recipe) -> ProfiledTimes:
        plan, inputs = _pair(self._context, self._context.model, self.built(recipe))
        return ProfiledTimes.of(profile(plan, inputs, "candidate", runs=_PROFILED_RUNS, recipe=recipe))


def measured_ratio(context: Context, before: ModelArtifact, after: ModelArtifact) -> RatioInterval:
    """Return how much faster a model is than another one, measured in alternation.

    Args:
        context: The run; its images are those that the models take.
        before: The one to compare with.
        after: The one that may be faster.
    """
    (found,) = speedups(measure(*_pair(context, before, after)))
    # Without an interval the ratio itself decides, as in the verdict.
    low, high = (found.ratio if end is None else end for end in (found.low, found.high))
    return RatioInterval(low=low, ratio=found.ratio, high=high)


def _pair(context: Context, before: ModelArtifact, after: ModelArtifact) -> tuple[Plan, Inputs]:
    return short_pair(context, before, after, seconds=_SECONDS, runs=_RUNS)


def slower_file(written: Written, ratios: Ratios) -> float | None:
    """Return the speed-up of a written file that is slower than fp32 by the rule of the verdict, or None.

    Rewrites that were timed before may have been left out of the files.

    Args:
        written: The files.
        ratios: Journal of the run, recorded and measured times.
    """
    context, pair = written.context, written.built.pair
    for model in (pair.int8, pair.qdq):
        found = ratios.of(context.model, model, partial(measured_ratio, context, context.model, model))
        if is_slower(found):
            return found.ratio
    return None


def choose_placement(
    context: Context, trial: Trial, criterion: Criterion, selection: Evaluator, ratios: Ratios
) -> PlacedTrial:
    """Return a trial of Neural Compressor with its layers where they are fastest on this machine.

    Nothing is changed where that was not asked for, or where this machine is not what the model is made for.

    Args:
        context: The run.
        trial: The trial.
        criterion: What is good enough.
        selection: Evaluates on the images that trials saw.
        ratios: Journal of the run, recorded and measured times.
    """
    mode, target = context.config.tuning.placement, context.target
    met = criterion.met(trial.metric)
    if mode == "all-int8":
        return PlacedTrial(trial, met, PlacementSection(mode=mode, reason="as Neural Compressor decided"))
    if target != this_cpu_class():
        reason = f"as Neural Compressor decided: nothing is measured for the target {target} on this machine"
        return PlacedTrial(trial, met, PlacementSection(mode=mode, reason=reason))
    with context.stages.stage("place the layers"):
        bench = Bench(context, trial, criterion, selection, ratios)
        asked = context.config.tuning.speed_criterion.min_speedup
        search = PlacementSearch(bench.fp32, bench.candidate, trial.recipe, bench, asked)
        return _taken(context, bench, trial, search.chosen())


def in_float(context: Context, trial: Trial, criterion: Criterion, selection: Evaluator, ratios: Ratios) -> PlacedTrial:
    """Return float arithmetic throughout, with as many weights stored in int8 as the criterion bears."""
    with context.stages.stage("place the layers"):
        bench = Bench(context, trial, criterion, selection, ratios)
        option = PlacementSearch(bench.fp32, bench.candidate, trial.recipe, bench).in_float()
        why = "no written file with int8 arithmetic meets the criterion: everything computes in float"
        return _taken(context, bench, trial, Placement(option, (option,), why))


def _taken(context: Context, bench: Bench, trial: Trial, found: Placement) -> PlacedTrial:
    recipe = found.chosen.recipe
    sections = tuple(_section(context, option, taken=option is found.chosen) for option in found.options)
    section = PlacementSection(mode="measured", reason=found.reason, options=sections)
    met = bool(found.chosen.met)
    if recipe == trial.recipe:
        return PlacedTrial(trial, met, section)
    artifact = save_model(bench.bare(recipe), context.folder.work / "candidates" / f"{recipe.id}.onnx")
    return PlacedTrial(replace(trial, recipe=recipe, artifact=artifact, metric=found.chosen.metric), met, section)


def _section(context: Context, option: Option, *, taken: bool) -> PlacementOptionSection:
    int8, weighted = weighted_int8(option.recipe, context.model.proto())
    return PlacementOptionSection(
        kind=option.kind,
        recipe_id=option.recipe.id,
        taken=taken,
        int8_layers=int8,
        layers=weighted,
        stored_layers=len(option.recipe.stored_nodes),
        predicted_ns=option.predicted_ns,
        speedup=_ratio(option.speedup),
        gain=_ratio(option.gain),
        metric=option.metric,
        met=option.met,
        bytes=option.bytes,
    )


def _ratio(found: RatioInterval | None) -> RatioSection | None:
    if found is None:
        return None
    return RatioSection(ratio=found.ratio, low=found.low, high=found.high if found.high < 1e9 else None)
