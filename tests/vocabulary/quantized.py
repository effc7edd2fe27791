"""Both formats of a small model as a run would write them, and how near their scores are to fp32's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from quantize.data.batches import Batch
from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.engines.native.search.op_graph import head_ops, op_graph
from quantize.engines.native.search.source_graph import rebuild
from quantize.engines.task import CalibrationSet
from quantize.graph.opsets.raising import raise_opset
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.prepare import prepare
from quantize.recipe import Recipe
from quantize.rewrites import REWRITES, rewrite
from quantize.rewrites.runner import scores
from quantize.run.export import finished
from tests.vocabulary.rounding import rounded_scores
from tests.vocabulary.writer import pictures

Floats = npt.NDArray[np.float32]
Built = Callable[[ModelArtifact, CalibrationSet, Path], ModelArtifact]

IMAGES = 16
NATIVE = Recipe(engine="native", corrections=("rounding", "bias", "scores"), details=((FLOAT_OUTPUTS, "true"),))


@dataclass(frozen=True)
class Quantized:
    """A model's two formats and the scores (N, classes) of all on the same images.

    ``rounded_scores`` are those of the fp32 model with each tensor and weight rounded to 8 bits.
    """

    prepared: ModelArtifact
    qlinear: ModelProto
    qdq: ModelProto
    fp32_scores: Floats
    qlinear_scores: Floats
    qdq_scores: Floats
    rounded_scores: Floats

    @property
    def agree(self) -> bool:
        """Return whether both formats differ by no more than a twentieth of the error that both have."""
        apart = error(self.qlinear_scores, self.qdq_scores)
        return apart <= max(0.05 * error(self.fp32_scores, self.rounded_scores), 1e-6)

    @property
    def times_rounding(self) -> float:
        """Return the larger error of both forms over that of rounding alone, each a root mean square."""
        ours = max(error(self.fp32_scores, scores) for scores in (self.qlinear_scores, self.qdq_scores))
        return ours / max(error(self.fp32_scores, self.rounded_scores), 1e-9)

    @property
    def sqnr(self) -> tuple[float, float]:
        """Return the signal-to-noise ratio of the QLinear and the QDQ form's scores, in dB."""
        return decibel(self.fp32_scores, self.qlinear_scores), decibel(self.fp32_scores, self.qdq_scores)


def error(expected: Floats, scores: Floats) -> float:
    """Return the root of the mean square of the difference."""
    return float(np.sqrt(np.square(scores.astype(np.float64) - expected).mean()))


def decibel(expected: Floats, scores: Floats) -> float:
    """Return the energy of the scores around each class's mean over that of their error, in dB."""
    signal = np.square(expected - expected.mean(axis=0), dtype=np.float64).sum()
    noise = np.square(scores.astype(np.float64) - expected).sum()
    return float(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30)))


def natively(recipe: Recipe = NATIVE) -> Built:
    """Return what makes the native engine's candidate of a recipe: every layer in int8 that the recipe says.

    What stands behind the last layer stays in float, as in a search.
    """

    def built(model: ModelArtifact, calibration: CalibrationSet, folder: Path) -> ModelArtifact:
        proto = model.proto()
        head = head_ops(op_graph(proto, op_types_of(recipe)), {layer.node for layer in layers(proto)})
        with_head = recipe.but(float_nodes=tuple(sorted({*recipe.float_nodes, *head})))
        return rebuild(model, with_head, calibration, folder, threads=1)

    return built


def quantized(source: ModelProto, folder: Path, build: Built | None = None, *, seed: int = 0) -> Quantized:
    """Prepare a model, quantize it, apply every rewrite that keeps its declaration, and score all.

    It is scored on the images that it is calibrated on: no value leaves its range, and what remains is rounding.

    Args:
        source: The model as a user has it.
        folder: An empty folder to work in.
        build: Makes the candidate; by default, the native engine.
        seed: Of the images.
    """
    onnx.save(source, folder / "source.onnx")
    prepared = prepare(folder / "source.onnx", folder / "prepared.onnx")
    sizes = [dimension.dim_value for dimension in source.graph.input[0].type.tensor_type.shape.dim]
    pixels = pictures((IMAGES, *sizes[1:]), seed)
    size = prepared.contract.fixed_batch or IMAGES
    images = [pixels[at : at + size] for at in range(0, IMAGES, size)]
    calibration = CalibrationSet([Batch(tuple(map(str, range(size))), each, None) for each in images], IMAGES, "drawn")
    candidate = (build or natively())(prepared, calibration, folder)
    written = finished(rewrite(candidate.proto(), REWRITES, images=images), "vnni")
    for number, form in enumerate((written.qlinear, written.qdq)):
        onnx.checker.check_model(form, full_check=True)
        save_model(form, folder / f"{number}.onnx")
    expected, first, second = (scores(form, images) for form in (prepared.proto(), written.qlinear, written.qdq))
    by_hand = rounded_scores(raise_opset(prepared.proto(), 13), images, images)
    return Quantized(prepared, written.qlinear, written.qdq, expected, first, second, by_hand)
