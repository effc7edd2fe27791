"""One pass through a model's units: each alone is changed, and only what lies behind it runs again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from quantize.engines.native.search.quantized_weights import QuantizedWeights
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.segments import Segments
from quantize.engines.native.search.units import Unit, UnitGraph
from quantize.grid.grid import Grid
from quantize.models.input_form import filled
from quantize.progress import Progress

Live = dict[str, list[npt.NDArray[Any]]]
Found = tuple[tuple[str, str], list[float]]


class Walk:
    """One pass through the graph with one chunk of the images."""

    def __init__(
        self,
        model: onnx.ModelProto,
        graph: UnitGraph,
        quantized: QuantizedWeights,
        grids: Mapping[str, Grid],
        scorer: Scorer,
        part: slice,
        micro_batch: int,
        *,
        only_whole: bool,
    ) -> None:
        self._model, self._graph, self._quantized, self._grids = model, graph, quantized, grids
        self._scorer, self._part = scorer, part
        self._segments = Segments(model)
        self._behind_index: int | None = None
        self._behind_session: onnxruntime.InferenceSession | None = None
        images = scorer.images[part]
        self._count = len(images)
        least = micro_batch if only_whole else 0
        starts = range(0, len(images), micro_batch)
        self._live: Live = {graph.image: [filled(images[start : start + micro_batch], least) for start in starts]}
        self._last_use = {name: index for index, node in enumerate(model.graph.node) for name in node.input} | {
            graph.scores: len(model.graph.node)
        }

    def run(self, progress: Progress) -> Iterator[Found]:
        """Yield ((kind, name), divergences) for every unit and tensor."""
        units = {unit.nodes[-1]: unit for unit in self._graph.units}
        inside = {index for unit in self._graph.units for index in unit.nodes[:-1]}
        if self._graph.image in self._grids:
            yield ("tensor", self._graph.image), self._behind(-1, self._graph.image, self._placed(self._graph.image))
        done = 0
        for index in range(len(self._model.graph.node)):
            if index in inside:
                continue
            unit = units.get(index)
            nodes = unit.nodes if unit is not None else (index,)
            outputs = [name for name in self._model.graph.node[index].output if name in self._last_use]
            if not outputs:
                continue
            before = self._live
            session = self._scorer.runner.open(self._segments.cut(nodes, outputs))
            self._live = before | self._computed(session, nodes, outputs, before)
            if unit is not None:
                yield from self._variants(unit, before)
                done += 1
                progress("sensitivity", done, len(units))
            for name in [name for name in self._live if self._last_use.get(name, -1) <= index]:
                del self._live[name]

    def _variants(self, unit: Unit, before: Live) -> Iterator[Found]:
        last = unit.nodes[-1]
        if not unit.moving and unit.output in self._grids and unit.output != self._graph.scores:
            yield ("tensor", unit.output), self._behind(last, unit.output, self._placed(unit.output))
        node = self._model.graph.node[unit.nodes[0]]
        changed = [self._quantized.constants[name] for name in node.input if name in self._quantized.constants]
        if changed:
            bias = self._quantized.biases.get(unit.name)
            own = [*changed, *([self._quantized.constants[bias]] if bias is not None else [])]
            content = self._segments.cut(
                unit.nodes, [unit.output], own, (unit.nodes[0], bias) if bias is not None else None
            )
            session = self._scorer.runner.open(content)
            found = self._computed(session, unit.nodes, [unit.output], before)[unit.output]
            yield ("weights", unit.name), self._behind(last, unit.output, found)

    def _placed(self, tensor: str) -> list[npt.NDArray[Any]]:
        grid = self._grids[tensor]
        return self._scorer.runner.map(grid.placed, self._live[tensor])

    def _behind(self, index: int, tensor: str, values: list[npt.NDArray[Any]]) -> list[float]:
        """Return the divergences with a tensor replaced at the point behind the node at ``index``."""
        nodes = range(index + 1, len(self._model.graph.node))
        live = self._live | {tensor: values}
        if len(nodes) == 0:
            scores = live[self._graph.scores]
        else:
            # Weights and output of a unit are looked at one after the other, with the same graph behind them.
            if self._behind_index != index:
                self._behind_session = self._scorer.runner.open(self._segments.cut(nodes, [self._graph.scores]))
                self._behind_index = index
            scores = self._computed(self._behind_session, nodes, [self._graph.scores], live)[self._graph.scores]
        found = np.concatenate([part.reshape(len(part), -1) for part in scores])
        return self._scorer.divergences(found[: self._count], self._part)

    def _computed(
        self, session: onnxruntime.InferenceSession, nodes: Sequence[int], outputs: Sequence[str], live: Live
    ) -> Live:
        inputs = self._segments.inputs(nodes)
        steps = len(live[inputs[0]]) if inputs else len(next(iter(live.values())))
        feeds = [{name: live[name][step] for name in inputs} for step in range(steps)]
        found = self._scorer.runner.map(lambda feed: session.run(list(outputs), feed), feeds)
        return {name: [values[at] for values in found] for at, name in enumerate(outputs)}
