"""Builds, judges and measures placements of layers on this machine, using the run's callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onnx import ModelProto, numpy_helper

from quantize.engines.native.builder.layers import arrays, layers
from quantize.engines.native.search.changed_weights import ChangedWeights
from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.engines.native.search.op_graph import op_graph
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.sensitivity import measure_sensitivity
from quantize.engines.placement.placed_model import placed, stored_weights
from quantize.engines.placement.placement import Option, Placement
from quantize.engines.placement.search import PlacementSearch
from quantize.engines.task import SearchTask
from quantize.engines.trial import PlacedTrial, Trial
from quantize.formats import to_qdq
from quantize.graph.nodes import INTEGER_WEIGHTED
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.weights_apart import weights_apart
from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval, apply_rewrites

_SENSITIVITY_IMAGES = 64


class Bench:
    """Builds, times and judges placements of one trial's model.

    Attributes:
        fp32: The prepared fp32 model.
        candidate: The trial's model, as the engine built it.
    """

    def __init__(self, task: SearchTask, trial: Trial) -> None:
        assert trial.artifact is not None
        self._task, self._trial = task, trial
        self.fp32, self.candidate = task.model.proto(), trial.artifact.proto()
        self._built: dict[str, ModelArtifact] = {}

    def bare(self, recipe: Recipe) -> ModelProto:
        """Return a placement's model before its rewrites, which are applied and timed one by one afterwards."""
        return placed(self.candidate, self.fp32, recipe)

    def built(self, recipe: Recipe, /) -> ModelArtifact:
        """Return a placement's model as it would be written, with all rewrites."""
        if recipe.id not in self._built:
            model = self._finished(apply_rewrites(to_qdq(self.bare(recipe)), self._task.rewrites))
            self._built[recipe.id] = save_model(model, self._task.folder / "placed" / f"{recipe.id}.onnx")
        return self._built[recipe.id]

    def profile(self, recipe: Recipe, /) -> ProfiledTimes:
        """Return the time of fp32 and of a placement's model, op by op: recorded, or measured once."""
        return self._task.callbacks.op_times(recipe, self.built(recipe))

    def ratio(self, before: Recipe | None, after: Recipe, /) -> RatioInterval:
        """Return how much faster a placement's model is, recorded or measured in alternation."""
        first = self._task.model if before is None else self.built(before)
        second = self.built(after)
        if first.graph_sha256 == second.graph_sha256:
            return RatioInterval(1.0, 1.0, 1.0)
        return self._task.callbacks.ratio(first, second)

    def judged(self, recipe: Recipe, /) -> tuple[float | None, bool]:
        """Return a placement's metric, and whether it meets the criterion: before its rewrites, as for every trial."""
        criterion = self._task.criterion
        if criterion.metric == "none":
            return None, True
        metric = self._trial.metric if recipe == self._trial.recipe else self._metric(recipe)
        return metric, criterion.met(metric)

    def sensitivity(self) -> Mapping[str, float]:
        """Return the KL from fp32's scores, in nats, where one layer's weights alone are stored in int8."""
        shifts: dict[str, float] = self._task.journal.step(
            "sensitivity of stored weights", lambda: dict(self._sensitivity()), kind=dict[str, float]
        )
        return shifts

    def _sensitivity(self) -> Mapping[str, float]:
        task, values = self._task, arrays(self.fp32)
        constants = {}
        for layer in layers(self.fp32):
            stored = stored_weights(layer, values[layer.weight])
            constants[layer.weight] = numpy_helper.from_array(stored.values, layer.weight)
        with weights_apart(self.fp32) as apart:
            return measure_sensitivity(
                apart,
                op_graph(self.fp32, INTEGER_WEIGHTED),
                ChangedWeights(constants),
                {},
                Scorer(task.model, task.calibration.batches, most=_SENSITIVITY_IMAGES, threads=task.threads),
                fixed_batch=task.model.contract.fixed_batch,
                progress=task.progress,
            ).weights

    def _finished(self, model: ModelProto) -> ModelProto:
        return self._task.callbacks.finished(to_qdq(model))

    def _metric(self, recipe: Recipe) -> float:
        model = self._finished(self.bare(recipe))
        bare = save_model(model, self._task.folder / "placed" / f"{recipe.id}-bare.onnx")
        return self._task.callbacks.evaluate(bare)


def choose_placement(task: SearchTask, trial: Trial, decided_by: str) -> PlacedTrial:
    """Return an engine's trial with its layers where they are fastest on this machine.

    Nothing changes unless requested, or if the model is made for other machines than this.

    Args:
        task: The search that the trial is of.
        trial: The trial.
        decided_by: The engine, for sentences.
    """
    met, as_decided = task.criterion.met(trial.metric), f"as {decided_by} decided"
    if task.tuning.placement == "all-int8":
        return PlacedTrial(trial, met, "all-int8", as_decided)
    if not task.times_count:
        reason = f"{as_decided}: nothing is measured for the target {task.quantization.cpus} on this machine"
        return PlacedTrial(trial, met, "measured", reason)
    with task.callbacks.stage("place the layers"):
        bench = Bench(task, trial)
        asked = task.tuning.speed_criterion.min_speedup
        search = PlacementSearch(bench.fp32, bench.candidate, trial.recipe, bench, asked)
        return _taken(task, bench, trial, search.chosen())


def place_in_float(task: SearchTask, trial: Trial) -> PlacedTrial:
    """Return a trial with float arithmetic throughout, with as many weights stored in int8 as the criterion allows."""
    with task.callbacks.stage("place the layers"):
        bench = Bench(task, trial)
        option = PlacementSearch(bench.fp32, bench.candidate, trial.recipe, bench).in_float()
        why = "no written file with int8 arithmetic meets the criterion: everything computes in float"
        return _taken(task, bench, trial, Placement(option, (option,), why))


def _taken(task: SearchTask, bench: Bench, trial: Trial, placement: Placement) -> PlacedTrial:
    option: Option = placement.chosen
    result = PlacedTrial(trial, bool(option.met), "measured", placement.reason, placement.options, option)
    if option.recipe == trial.recipe:
        return result
    artifact = save_model(bench.bare(option.recipe), task.folder / "candidates" / f"{option.recipe.id}.onnx")
    return replace(result, trial=replace(trial, recipe=option.recipe, artifact=artifact, metric=option.metric))
