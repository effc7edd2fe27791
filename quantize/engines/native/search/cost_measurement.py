"""Measure the costs that decide an assignment: the sensitivity and the time of every op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from onnx import NodeProto

from quantize.engines.native.builder.weight_scales import narrow_layers
from quantize.engines.native.search.assignment import Costs
from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.candidates import Candidates
from quantize.engines.native.search.changed_weights import ChangedWeights
from quantize.engines.native.search.latency_model import ProfiledTimes, latency_model
from quantize.engines.native.search.latency_timer import LatencyTimer
from quantize.engines.native.search.op_graph import OpGraph
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.sensitivity import Sensitivity, measure_sensitivity
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.source_graph import PartOfImages, SourceGraph
from quantize.grid.grid import Grid
from quantize.models.session import NOT_RUN
from quantize.models.weights_apart import WeightsApart, weights_apart
from quantize.processes.memory import give_back_unused
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

_IN_HASTE = 8
"""Images that sensitivity is measured on where time is short."""


class CostMeasurement:
    """Measures the costs of one model's ops."""

    def __init__(
        self,
        builder: CandidateBuilder,
        timer: LatencyTimer,
        candidates: Candidates,
        settings: SearchSettings,
        journal: SearchJournal,
        *,
        progress: Progress = silent,
    ) -> None:
        """Set up.

        Args:
            builder: Builds the all-int8 candidate, which is profiled.
            timer: Profiles it.
            candidates: Takes it as a failed candidate where it cannot be built or profiled.
            settings: How many images sensitivity is measured on.
            journal: Remembers what was measured.
            progress: Called after every op.
        """
        self._builder, self._timer, self._candidates = builder, timer, candidates
        self._settings, self._journal, self._progress = settings, journal, progress

    def sensitivity(self, recipe: Recipe, graph: OpGraph, *, in_haste: bool = False) -> Sensitivity:
        """Return what the quantization of every op alone does to the scores.

        Layers that get weights of 7 bits are measured with those of type uint8 as well, in the same pass.

        Args:
            recipe: Of the all-int8 candidate.
            graph: The model.
            in_haste: Whether few images have to do: the order of the ops is what counts.
        """
        most = self._settings.sensitivity_images
        images = min(most, _IN_HASTE) if in_haste else most

        def compute() -> dict[str, Any]:
            source = self._builder.source(recipe)
            narrow = self._narrow(recipe, graph)
            scorer = self._scorer(images)  # it runs the fp32 model
            with weights_apart(source.graph) as apart:
                weights, grids = self._changed(apart, source, recipe)
                uint8 = None
                if narrow:
                    nodes = apart.model.graph.node
                    firsts = {op.name: nodes[op.nodes[0]] for op in graph.ops if op.name in narrow}
                    uint8, _ = self._changed(apart, source, recipe.but(uint8_nodes=narrow), firsts)
                # The weights are rounded: what follows needs memory of its own.
                source.release()
                give_back_unused()
                sensitivity = measure_sensitivity(
                    apart,
                    graph,
                    weights,
                    grids,
                    scorer,
                    fixed_batch=self._builder.model.contract.fixed_batch,
                    uint8_weights=uint8,
                    progress=self._progress,
                )
            scorer.release()
            return asdict(sensitivity)

        step = f"sensitivity:{recipe.id}:{images}"
        return Sensitivity(**self._journal.remember("sensitivity", step, compute, Sensitivity))

    def costs(self, recipe: Recipe, graph: OpGraph, sensitivity: Sensitivity) -> Costs | None:
        """Return times and sensitivities; None, with a failed candidate, if the all-int8 one cannot be profiled.

        Args:
            recipe: Of the all-int8 candidate.
            graph: The model.
            sensitivity: What the quantization of every op alone does; of no images: not measured, times alone decide.
        """
        times = self._profiled(recipe)
        if times is None:
            return None
        fixed = frozenset(recipe.float_nodes)
        costs = Costs(graph, latency_model(times, graph), sensitivity.weights, sensitivity.tensors, fixed)
        narrow = sensitivity.uint8_weights
        if not narrow:
            return costs
        wide_times = self._profiled(recipe.but(uint8_nodes=tuple(sorted(narrow))))
        if wide_times is None:
            return costs
        uint8 = latency_model(wide_times, graph).int8_ns
        return replace(costs, uint8_ns={name: uint8[name] for name in narrow}, uint8_weights=narrow)

    def _narrow(self, recipe: Recipe, graph: OpGraph) -> tuple[str, ...]:
        """Return the ops that get weights of 7 bits, sorted."""
        narrow = frozenset(narrow_layers(self._builder.source(recipe).graph, recipe))
        return tuple(sorted(narrow & {op.name for op in graph.ops} - frozenset(recipe.float_nodes)))

    def _changed(
        self,
        apart: WeightsApart,
        source: SourceGraph,
        recipe: Recipe,
        only: Mapping[str, NodeProto] | None = None,
    ) -> tuple[ChangedWeights, Mapping[str, Grid]]:
        """Return what the weights of a recipe's candidate are, put into the file, and the grids by tensor.

        Args:
            apart: The fp32 model, whose file it is.
            source: What candidates are built from.
            recipe: The candidate's.
            only: Ops, with their first nodes, whose weights are asked for; None: all.
        """
        weights, grids = source.builder().quantized_weights(self._builder.model, recipe, source.statistics("all"))
        changed = ChangedWeights(weights.changed(source.graph), weights.added_biases)
        if only is not None:
            changed = changed.only(only)
        there = dict(zip(changed.constants, apart.put(changed.constants.values()), strict=True))
        return replace(changed, constants=there), grids

    def _scorer(self, most: int) -> Scorer:
        batches = PartOfImages(self._builder.calibration, "all", most)
        return Scorer(self._builder.model, batches, most=most, threads=self._settings.threads)

    def _profiled(self, recipe: Recipe) -> ProfiledTimes | None:
        """Return the profile of a recipe's candidate; None, with a failed candidate, if it cannot be profiled."""
        artifact = self._builder.build(recipe)
        if isinstance(artifact, str):
            if self._candidates.evaluated_of(recipe) is None:
                self._candidates.add_failed(recipe, artifact, "ladder")
            return None
        try:
            return self._timer.profile(recipe, artifact)
        except NOT_RUN as error:  # onnxruntime does not open or run it
            self._candidates.add_failed(recipe, str(error), "ladder", during="profile")
            return None
