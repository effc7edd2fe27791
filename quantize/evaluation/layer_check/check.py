"""Feed each layer of a written model what fp32 gives it, and hold its error against what its grids predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, NodeProto

from quantize.calibration.exposure import with_outputs
from quantize.data.batches import Batch
from quantize.evaluation.layer_check.fed_model import FedModel
from quantize.evaluation.layer_check.grid_weights import bias_steps, grid_weights_apart
from quantize.evaluation.layer_check.held_tensors import HeldTensor, HeldTensors
from quantize.evaluation.layer_check.prediction import ALLOWED, predicted_error
from quantize.formats import canonical
from quantize.graph.view import Graph
from quantize.models.weights_apart import weights_apart
from quantize.processes.memory import give_back_unused

Array = npt.NDArray[Any]

_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class LayerFinding:
    """One tensor that a layer of a quantized model gives.

    Attributes:
        layer: The fp32 model's node that the layer computes.
        op_type: Its operator; empty for an input of the model.
        nodes: All nodes of the fp32 model that the layer computes, by name.
        error: Root mean square of the difference from fp32, the layer's inputs being fp32's; the greatest float32
            where it is no number.
        predicted: The same as the grids predict it; the greatest float32 where that is no number: what the layer takes
            is rounded to where its function has none (1 / 0).
    """

    layer: str
    op_type: str
    nodes: tuple[str, ...]
    error: float
    predicted: float

    @property
    def ratio(self) -> float:
        """Return the error over the predicted one; the greatest float32 where none can be predicted."""
        return self.error / self.predicted if self.foreseen else _MOST

    @property
    def is_number(self) -> bool:
        """Return whether the layer gives a number wherever fp32 does."""
        return self.error < _MOST

    @property
    def foreseen(self) -> bool:
        """Return whether the grids predict an error at all."""
        return self.predicted < _MOST

    @property
    def wrong(self) -> bool:
        """Return whether the layer does something that its grids do not explain."""
        return self.ratio > ALLOWED


def check_layers(
    reference: Callable[[], ModelProto],
    written: Mapping[str, ModelProto],
    batches: Iterable[Batch],
    *,
    corrected: bool = False,
    padded: Callable[[], ModelProto] | None = None,
) -> dict[str, tuple[LayerFinding, ...]]:
    """Return what was found for every tensor that written models hold of the fp32 model, by the models' names.

    Args:
        reference: Returns the fp32 model that they were made of, with the same input; called for each of them, since
            it would take much memory while its sessions run.
        written: The models, in any format.
        batches: Calibration images as all take them.
        corrected: Whether the scores were corrected: what was added is no error then.
        padded: Returns the fp32 model with the padding that was chosen for the quantized ones, where that is another.
    """
    # One after the other, since what one holds of all tensors takes more memory than anything else of a run.
    return {name: _checked(reference, padded, model, batches, corrected=corrected) for name, model in written.items()}


def _checked(
    reference: Callable[[], ModelProto],
    padded: Callable[[], ModelProto] | None,
    written: ModelProto,
    batches: Iterable[Batch],
    *,
    corrected: bool,
) -> tuple[LayerFinding, ...]:
    with ExitStack() as stack:
        check, session = _opened(reference, padded, written, stack, corrected=corrected)
        image, inner = session.get_inputs()[0].name, [value.name for value in session.get_outputs()]
        for batch in batches:
            values = dict(zip(inner, session.run(inner, {image: batch.images}), strict=True)) | {image: batch.images}
            check.add(batch.images, values)
    return check.findings()


def _opened(
    reference: Callable[[], ModelProto],
    padded: Callable[[], ModelProto] | None,
    written: ModelProto,
    stack: ExitStack,
    *,
    corrected: bool,
) -> tuple[_Check, onnxruntime.InferenceSession]:
    """Return the check and what gives it fp32's tensors, whose models are not needed any more."""
    fp32 = reference()
    check = _Check(fp32, fp32 if padded is None else padded(), written, stack, corrected=corrected)
    inputs = {value.name for value in fp32.graph.input}
    inner = [name for name in dict.fromkeys(check.tensors) if name not in inputs]
    with weights_apart(fp32) as apart:
        del fp32
        # It runs few images: weights as the kernels read them would take as much as the model once more.
        session = apart.open(with_outputs(apart.model, inner), arena=False, prepacking=False)
    give_back_unused()
    return check, session


@dataclass
class _Sums:
    """Squares of one tensor, summed over its values."""

    error: float = 0.0
    inputs_and_weights: float = 0.0
    output: float = 0.0
    magnitude: float = 0.0
    count: int = 0
    drifts: list[Array] = field(default_factory=list)


class _Check:
    def __init__(
        self, reference: ModelProto, padded: ModelProto, written: ModelProto, stack: ExitStack, *, corrected: bool
    ) -> None:
        model = canonical(written)
        found = HeldTensors(reference, model)
        self._op_types = {node.name: node.op_type for node in reference.graph.node}
        made = {name for node in written.graph.node for name in node.output}
        self._held = [held for held in found.all() if held.by is None or held.name in made]
        self._written, self._corrected = written, corrected
        graph = Graph.of(model)
        self._others = {held.name: (*held.inner, *bias_steps(graph, _named(graph, held))) for held in self._held}
        self._on_grid = stack.enter_context(grid_weights_apart(padded, graph, found.origins))
        self._sums = {held.name: _Sums() for held in self._held}
        self._models: tuple[FedModel, FedModel, FedModel | None] | None = None

    @property
    def tensors(self) -> list[str]:
        return [held.tensor for held in self._held]

    def add(self, images: Array, values: Mapping[str, Array]) -> None:
        on_grid: dict[str, Array] = {}
        given: dict[str, Array] = {}
        for held in self._held:
            if held.by is None:
                if not held.is_output:
                    given[held.name] = on_grid[held.tensor] = values[held.tensor]
                continue
            given[held.name] = _widened(held.by.quantize(values[held.tensor]), held)
            on_grid.setdefault(held.tensor, held.by.placed(values[held.tensor]))
        reference, own, free = self._models or self._open(given, on_grid)
        expected = reference.run(images, on_grid)
        on_grid.clear()  # all tensors of an image are held some times over
        made = own.run(images, given)
        given.clear()
        unfed = free.run(images, {}) if free is not None else {}
        for held in self._held:
            y, result = values[held.tensor].astype(np.float64), made[held.name]
            if held.by is not None:
                result = _narrowed(held.by.dequantize(result), held)
            sums, finite = self._sums[held.name], np.isfinite(y)
            sums.count += int(finite.sum())
            sums.magnitude += _squares(y, finite)
            sums.error += _squares(result - y, finite)
            if held.tensor in expected:
                sums.inputs_and_weights += _squares(expected[held.tensor] - y, finite)
            if held.by is not None:
                sums.output += _squares(held.by.placed(values[held.tensor]) - y, finite)
            elif held.name in unfed:
                sums.drifts.append(np.atleast_1d(unfed[held.name] - result).astype(np.float64))

    def _open(
        self, given: Mapping[str, Array], on_grid: Mapping[str, Array]
    ) -> tuple[FedModel, FedModel, FedModel | None]:
        inputs = {value.name for value in self._on_grid.model.graph.input}
        tensors = [name for name in dict.fromkeys(self.tensors) if name not in inputs]
        reference = FedModel(self._on_grid, on_grid, tensors)
        outputs = [held.name for held in self._held if held.by is None]
        with weights_apart(self._written) as apart:
            own = FedModel(apart, given, [held.name for held in self._held])
            free = FedModel(apart, {}, outputs) if self._corrected and outputs else None
        self._models = (reference, own, free)
        give_back_unused()  # what opening them took, before all tensors of an image are held
        return self._models

    def findings(self) -> tuple[LayerFinding, ...]:
        return tuple(self._finding(held) for held in self._held if held.nodes)

    def _finding(self, held: HeldTensor) -> LayerFinding:
        sums = self._sums[held.name]
        count = max(sums.count, 1)
        predicted = predicted_error(
            inputs_and_weights=sums.inputs_and_weights / count,
            output=sums.output / count,
            step=0.0 if held.by is None else float(held.by.scale),
            others=self._others[held.name],
            correction=_correction(sums.drifts),
            magnitude=sums.magnitude / count,
        )
        error = _finite(np.sqrt(sums.error / count))
        return LayerFinding(held.layer, self._op_types.get(held.layer, ""), held.origins, error, _finite(predicted))


def _named(graph: Graph, held: HeldTensor) -> Iterator[NodeProto]:
    return (node for node in graph.nodes if node.name in held.nodes)


def _squares(values: Array, finite: Array) -> float:
    return float(np.square(values, where=finite, out=np.zeros(values.shape, np.float64), dtype=np.float64).sum())


def _finite(error: float) -> float:
    return float(error) if error < _MOST else _MOST


def _correction(drifts: list[Array]) -> float:
    """Return the mean square of what the scores' correction adds: the mean error that all other layers lead to.

    It is what the scores differ by with every layer fed by the one before instead of by fp32; whatever is added to
    the scores is in both and falls out.
    """
    if not drifts:
        return 0.0
    return float(np.square(np.concatenate(drifts).mean(axis=0)).mean())


def _widened(values: Array, held: HeldTensor) -> Array:
    assert held.by is not None
    if not held.missing:
        return values
    pads = [(0, 0), (0, held.missing)] + [(0, 0)] * (values.ndim - 2)
    return np.pad(values, pads, constant_values=int(held.by.zero_point))


def _narrowed(values: Array, held: HeldTensor) -> Array:
    return values[:, : values.shape[1] - held.missing] if held.missing else values
