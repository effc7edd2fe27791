"""Feed each layer of a written model what fp32 gives it, and hold its error against what its grids predict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from quantize.calibration.exposure import with_outputs
from quantize.data.batches import Batch
from quantize.evaluation.layer_check.fed_model import FedModel
from quantize.evaluation.layer_check.grid_weights import bias_steps, with_grid_weights
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
    reference: ModelProto,
    written: Mapping[str, ModelProto],
    batches: Iterable[Batch],
    *,
    corrected: bool = False,
    padded: ModelProto | None = None,
) -> dict[str, tuple[LayerFinding, ...]]:
    """Return what was found for every tensor that written models hold of the fp32 model, by the models' names.

    Args:
        reference: The fp32 model that they were made of, with the same input.
        written: The models, in any format.
        batches: Calibration images as all take them.
        corrected: Whether the scores were corrected: what was added is no error then.
        padded: The fp32 model with the padding that was chosen for the quantized ones, where that is another.
    """
    # One after the other, since what one holds of all tensors takes more memory than anything else of a run.
    return {
        name: _checked(_Check(reference, padded or reference, model, corrected=corrected), reference, batches)
        for name, model in written.items()
    }


def _checked(check: _Check, reference: ModelProto, batches: Iterable[Batch]) -> tuple[LayerFinding, ...]:
    inner = [name for name in check.tensors if name not in {value.name for value in reference.graph.input}]
    inner = list(dict.fromkeys(inner))
    with weights_apart(reference) as apart:
        # It runs few images: weights as the kernels read them would take as much as the model once more.
        session = apart.open(with_outputs(apart.model, inner), arena=False, prepacking=False)
    image = session.get_inputs()[0].name
    for batch in batches:
        values = dict(zip(inner, session.run(inner, {image: batch.images}), strict=True)) | {image: batch.images}
        check.add(batch.images, values)
    return check.findings()


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
    def __init__(self, reference: ModelProto, padded: ModelProto, written: ModelProto, *, corrected: bool) -> None:
        model = canonical(written)
        found = HeldTensors(reference, model)
        self._graph, self._reference = Graph.of(model), Graph.of(reference)
        made = {name for node in written.graph.node for name in node.output}
        self._held = [held for held in found.all() if held.by is None or held.name in made]
        self._written, self._corrected = written, corrected
        self._on_grid: ModelProto | None = with_grid_weights(padded, self._graph, found.origins)
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
                sums.drifts.append(np.asarray(unfed[held.name] - result, np.float64))

    def _open(
        self, given: Mapping[str, Array], on_grid: Mapping[str, Array]
    ) -> tuple[FedModel, FedModel, FedModel | None]:
        model, self._on_grid = self._on_grid, None  # needed once, and as large as the model
        assert model is not None
        inputs = {value.name for value in model.graph.input}
        with weights_apart(model) as apart:
            del model
            reference = FedModel(apart, on_grid, [name for name in dict.fromkeys(self.tensors) if name not in inputs])
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
        named = [node for node in self._graph.nodes if node.name in held.nodes]
        predicted = predicted_error(
            inputs_and_weights=sums.inputs_and_weights / count,
            output=sums.output / count,
            step=0.0 if held.by is None else float(held.by.scale),
            others=(*held.inner, *bias_steps(self._graph, iter(named))),
            correction=_correction(sums.drifts),
            magnitude=sums.magnitude / count,
        )
        node = self._reference.node(held.layer)
        op_type = node.op_type if node is not None else ""
        error = _finite(np.sqrt(sums.error / count))
        return LayerFinding(held.layer, op_type, held.origins, error, _finite(predicted))


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
