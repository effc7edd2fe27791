"""One pass through a model that quantizes each op alone and reruns only what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper

from quantize.engines.native.search.changed_weights import ChangedWeights
from quantize.engines.native.search.live_tensors import ends, last_uses
from quantize.engines.native.search.op_graph import FusedOp, OpGraph
from quantize.engines.native.search.scorer import Scorer
from quantize.graph.nodes import reads
from quantize.graph.shapes import inferred_types
from quantize.grid.grid import Grid
from quantize.models.input_form import filled
from quantize.models.weights_apart import WeightsApart
from quantize.progress import Progress

Tensors = dict[str, list[npt.NDArray[Any]]]
"""By tensor: its values, micro-batch by micro-batch."""
Changed = Callable[[int], npt.NDArray[Any]]
"""Returns other values of a tensor for the micro-batch at a position."""
Measured = tuple[tuple[str, str], Callable[[], list[float]]]
"""(a kind of weights or ``tensor``, name) and what computes the KL from fp32 of every image, in nats."""


@dataclass(frozen=True)
class Rest:
    """The nodes behind one of a model, up to its scores.

    Attributes:
        session: Runs them.
        inputs: The tensors that they take.
    """

    session: onnxruntime.InferenceSession
    inputs: tuple[str, ...]


class SingleOpPass:
    """One pass through the graph with one chunk of the images."""

    def __init__(
        self,
        apart: WeightsApart,
        graph: OpGraph,
        weights: Mapping[str, ChangedWeights],
        grids: Mapping[str, Grid],
        scorer: Scorer,
        part: slice,
        micro_batch: int,
        *,
        only_whole: bool,
    ) -> None:
        """Set up.

        Args:
            apart: The fp32 model.
            graph: Its ops.
            weights: By kind, what the ops' weights become.
            grids: By tensor.
            scorer: The images and the reference scores.
            part: Which of the scorer's images this pass takes.
            micro_batch: Images of one inference.
            only_whole: The model insists on that many: the last micro-batch is filled up.
        """
        self._apart, self._model, self._graph, self._grids = apart, apart.model, graph, grids
        self._weights = weights
        self._scorer, self._part = scorer, part
        self._subgraphs = Subgraphs(apart.model)
        self._rest: tuple[int, Rest | None] | None = None
        images = scorer.images[part]
        self._count = len(images)
        least = micro_batch if only_whole else 0
        starts = range(0, len(images), micro_batch)
        self._live: Tensors = {graph.image: [filled(images[start : start + micro_batch], least) for start in starts]}
        self._steps = range(len(starts))
        self._last_use, self._ends = last_uses(apart.model, graph), ends(graph)

    def measured(self, progress: Progress) -> Iterator[Measured]:
        """Yield what computes the divergences with the weights of each op, and with each tensor, quantized alone.

        One can be computed, in another thread, while the next op's sessions open and the op itself runs.
        """
        ops = {op.nodes[-1]: op for op in self._graph.ops}
        inside = {index for op in self._graph.ops for index in op.nodes[:-1]}
        image = self._graph.image
        if image in self._grids:
            yield ("tensor", image), self._divergences_with(-1, image, self._rounded(image))
        done = 0
        for index in range(len(self._model.graph.node)):
            if index in inside:
                continue
            op = ops.get(index)
            nodes = op.nodes if op is not None else (index,)
            outputs = [name for name in self._model.graph.node[index].output if name in self._last_use]
            if not outputs:
                continue
            before = self._live
            session = self._open(self._subgraphs.extract(nodes, outputs))
            self._live = before | self._run(session, nodes, outputs, before)
            for tensor in outputs if op is None else ():
                if tensor in self._graph.float_made and tensor in self._grids:
                    yield ("tensor", tensor), self._divergences_with(index, tensor, self._rounded(tensor))
            if op is not None:
                yield from self._quantized_alone(op, before)
                done += 1
                progress("sensitivity", done, len(ops))
            # What was yielded holds on to what it needs.
            self._live = {name: values for name, values in self._live.items() if self._last_use.get(name, -1) > index}

    def _quantized_alone(self, op: FusedOp, before: Tensors) -> Iterator[Measured]:
        last = op.nodes[-1]
        if not op.moving and op.output in self._grids and op.output != self._graph.scores:
            yield ("tensor", op.output), self._divergences_with(last, op.output, self._rounded(op.output))
        first = op.nodes[0]
        for kind, weights in self._weights.items():
            constants, bias = weights.of(op.name, self._model.graph.node[first]), weights.biases.get(op.name)
            if not constants:
                continue
            added = None if bias is None else (first, bias)
            session = self._open(self._subgraphs.extract(op.nodes, [op.output], constants, added))
            output = partial(self._output, session, self._subgraphs.inputs(op.nodes), op.output, before)
            yield (kind, op.name), self._divergences_with(last, op.output, output)

    def _output(
        self, session: onnxruntime.InferenceSession, inputs: Sequence[str], output: str, live: Tensors, step: int
    ) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = session.run([output], {name: live[name][step] for name in inputs})[0]
        return values

    def _rounded(self, tensor: str) -> Changed:
        grid, live = self._grids[tensor], self._live[tensor]
        return lambda step: grid.placed(live[step])

    def _divergences_with(self, index: int, tensor: str, changed: Changed) -> Callable[[], list[float]]:
        """Return what computes the divergences where a tensor has other values when the nodes behind ``index`` run.

        Of those values no more are kept than of the micro-batches that run at a time.
        """
        live, output = self._live, self._graph.scores
        rest = self._behind(index)

        def scores(step: int) -> npt.NDArray[Any]:
            values = changed(step)
            if rest is None:
                return values if tensor == output else live[output][step]
            feed = {name: values if name == tensor else live[name][step] for name in rest.inputs}
            of_step: npt.NDArray[Any] = rest.session.run([output], feed)[0]
            return of_step

        def divergences() -> list[float]:
            whole = np.concatenate([part.reshape(len(part), -1) for part in self._scorer.map(scores, self._steps)])
            return self._scorer.divergences(whole[: self._count], self._part)

        return divergences

    def _behind(self, index: int) -> Rest | None:
        """Return what runs behind a node; None behind the last one.

        An op's output and its weights are quantized one after the other, with the same graph behind them. To that
        belongs an op that has begun and not ended, as a Conv whose activation comes only after another Conv.
        """
        if self._rest is None or self._rest[0] != index:
            nodes = [at for at in range(len(self._model.graph.node)) if self._ends.get(at, at) > index]
            rest = None
            if nodes:
                session = self._open(self._subgraphs.extract(nodes, [self._graph.scores]))
                rest = Rest(session, self._subgraphs.inputs(nodes))
            self._rest = index, rest
        return self._rest[1]

    def _open(self, piece: bytes) -> onnxruntime.InferenceSession:
        # Not packed: a session would hold each large weight twice, in the file's form and in the product's.
        return self._apart.open(piece, threads=1, spinning=False, arena=False, prepacking=False)

    def _run(
        self, session: onnxruntime.InferenceSession, nodes: Sequence[int], outputs: Sequence[str], live: Tensors
    ) -> Tensors:
        inputs = self._subgraphs.inputs(nodes)
        # In this thread: the others compute what was yielded last.
        results = [session.run(list(outputs), {name: live[name][step] for name in inputs}) for step in self._steps]
        return {name: [values[at] for values in results] for at, name in enumerate(outputs)}


class Subgraphs:
    """Pieces of one model, whose inputs and outputs are the tensors that enter and leave them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Set up for ``model``, whose nodes are in an order in which they can run."""
        self._model = model
        self._types = inferred_types(model)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        image = next(value for value in model.graph.input if value.name not in self._constants)
        self._takes_any_batch = not image.type.tensor_type.shape.dim[0].dim_value

    def inputs(self, nodes: Sequence[int]) -> tuple[str, ...]:
        """Return the tensors that the nodes at these positions take from outside, constants apart."""
        made = {name for index in nodes for name in self._model.graph.node[index].output}
        taken: dict[str, None] = {}
        for index in nodes:
            for name in reads(self._model.graph.node[index]):
                if name not in made and name not in self._constants:
                    taken[name] = None
        return tuple(taken)

    def extract(
        self,
        nodes: Sequence[int],
        outputs: Sequence[str],
        replaced: Iterable[onnx.TensorProto] = (),
        bias: tuple[int, str] | None = None,
    ) -> bytes:
        """Return the serialized model of the nodes at these positions.

        Args:
            nodes: Positions in the graph, ascending.
            outputs: The tensors that the piece returns.
            replaced: Constants that replace those of the same name.
            bias: A node's position and the name of a constant that becomes its bias: its third input, or, of a
                MatMul, what is added behind it.
        """
        own = {tensor.name: tensor for tensor in replaced}
        chosen = []
        for index in nodes:
            node = onnx.NodeProto()
            node.CopyFrom(self._model.graph.node[index])
            chosen.append(node)
            if bias is None or bias[0] != index:
                continue
            if node.op_type != "MatMul":
                node.input.append(bias[1])
                continue
            shifted, node.output[0] = str(node.output[0]), f"{node.output[0]}:before_shift"
            chosen.append(helper.make_node("Add", [node.output[0], bias[1]], [shifted]))
        used = dict.fromkeys(name for node in chosen for name in reads(node))
        constants = [own.get(name) or self._constants[name] for name in used if name in self._constants or name in own]
        inputs, results = ([self._value(name) for name in names] for names in (self.inputs(nodes), outputs))
        graph = helper.make_graph(chosen, "segment", inputs, results)
        model = helper.make_model(graph, opset_imports=list(self._model.opset_import))
        model.graph.initializer.extend(constants)  # here they are copied once
        model.ir_version = self._model.ir_version
        content: bytes = model.SerializeToString()
        return content

    def _value(self, name: str) -> onnx.ValueInfoProto:
        value = onnx.ValueInfoProto()
        value.name = name
        if name in self._types:
            value.type.CopyFrom(self._types[name])
        # What inference makes of constants of batch 1 does not bind a graph that takes any batch.
        if self._takes_any_batch and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].ClearField("dim_value")
        return value
