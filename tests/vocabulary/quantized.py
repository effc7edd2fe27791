"""Both formats of a small model as a run would write them, and how near their scores are to fp32's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from quantize.data.batches import Batch
from quantize.engines.engine import engine_named
from quantize.engines.task import CalibrationSet
from quantize.graph.opsets.raising import raise_opset
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.prepare import prepare
from quantize.recipe import Recipe
from quantize.rewrites import REWRITES, Rewritten, rewrite
from quantize.rewrites.runner import scores
from quantize.run import layer_check
from quantize.run.score_correction import CORRECTION, with_corrected_scores
from tests.vocabulary.rounding import WEIGHTED, rounded_scores
from tests.vocabulary.writer import pictures

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    """A quantized model before rewrites, and its recipe."""

    model: ModelArtifact
    recipe: Recipe


Built = Callable[[ModelArtifact, CalibrationSet, Path], Candidate]
"""Makes the candidate of a prepared model from calibration images, in a folder."""

IMAGES = 16
INTEGER_LAYERS = ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger")


@dataclass(frozen=True)
class Sample:
    """A prepared model, images as it takes them, and its scores (N, classes), as they are and rounded by hand."""

    prepared: ModelArtifact
    images: list[Floats]
    fp32_scores: Floats
    rounded_scores: Floats

    @property
    def calibration(self) -> CalibrationSet:
        """Return the same images, by which no value leaves its range: what remains is rounding."""
        batches = [Batch(tuple(map(str, range(len(images)))), images, None) for images in self.images]
        return CalibrationSet(batches, IMAGES, "drawn")


@dataclass(frozen=True)
class Quantized:
    """The two formats of a sample's model, and their scores (N, classes) on its images."""

    sample: Sample
    qlinear: ModelProto
    qdq: ModelProto
    qlinear_scores: Floats
    qdq_scores: Floats

    @property
    def layers(self) -> tuple[int, list[str]]:
        """Return how many layers with weights the QLinear form has in integers, and the operators of the others."""
        types = [node.op_type for node in self.qlinear.graph.node]
        return sum(name in INTEGER_LAYERS for name in types), [name for name in types if name in WEIGHTED]

    @property
    def error_of_rounding(self) -> float:
        """Return the error of rounding by hand, a root mean square of scores; one rounding of the scores at the least.

        Where scores are the same for all images, rounding by hand may hit them.
        """
        expected = self.sample.fp32_scores
        step = (max(float(expected.max()), 0) - min(float(expected.min()), 0)) / 255
        return max(error(expected, self.sample.rounded_scores), step / 2, 1e-9)

    @property
    def times_rounding(self) -> float:
        """Return the larger error of both forms over that of rounding alone."""
        expected = self.sample.fp32_scores
        ours = max(error(expected, scores) for scores in (self.qlinear_scores, self.qdq_scores))
        return ours / self.error_of_rounding

    @property
    def agree(self) -> bool:
        """Return whether both formats differ by no more than a twentieth of the error of rounding."""
        return error(self.qlinear_scores, self.qdq_scores) <= 0.05 * self.error_of_rounding

    @property
    def sqnr(self) -> tuple[float, float]:
        """Return the signal-to-noise ratio of the QLinear and the QDQ form's scores, in dB."""
        return decibel(self.sample.fp32_scores, self.qlinear_scores), decibel(self.sample.fp32_scores, self.qdq_scores)


def error(expected: Floats, scores: Floats) -> float:
    """Return the root of the mean square of the difference."""
    return float(np.sqrt(np.square(scores.astype(np.float64) - expected).mean()))


def decibel(expected: Floats, scores: Floats) -> float:
    """Return the energy of the scores around each class's mean over that of their error, in dB."""
    signal = np.square(expected - expected.mean(axis=0), dtype=np.float64).sum()
    noise = np.square(scores.astype(np.float64) - expected).sum()
    return float(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30)))


def sample(source: ModelProto, folder: Path, *, seed: int = 0) -> Sample:
    """Prepare a model as a user has it, draw images, and score them.

    Args:
        source: The model.
        folder: An empty folder to work in.
        seed: Of the images.
    """
    onnx.save(source, folder / "source.onnx")
    prepared = prepare(folder / "source.onnx", folder / "prepared.onnx")
    sizes = [dimension.dim_value for dimension in source.graph.input[0].type.tensor_type.shape.dim]
    pixels = pictures((IMAGES, *sizes[1:]), seed)
    size = prepared.contract.fixed_batch or IMAGES
    images = [pixels[at : at + size] for at in range(0, IMAGES, size)]
    rounded = rounded_scores(raise_opset(prepared.proto(), 13), images, images)
    return Sample(prepared, images, scores(prepared.proto(), images), rounded)


def written(given: Sample, build: Built, folder: Path) -> Quantized:
    """Return both formats as a run writes them, and their scores.

    They have every rewrite that keeps its declaration, scores without their mean error, and layers of which the check
    of every layer found none wrong.
    """
    candidate = build(given.prepared, given.calibration, folder)
    own = engine_named(candidate.recipe.engine).corrects_own_scores

    def correct(plain: Rewritten, _in_float: int) -> tuple[Rewritten, tuple[str, ...]]:
        if own:
            return plain, candidate.recipe.corrections
        corrected = with_corrected_scores(plain, given.prepared, _Drawn(given.calibration.batches), good_enough=None)
        return (plain, ()) if corrected is None else (corrected, (CORRECTION,))

    plain = rewrite(candidate.model.proto(), REWRITES, images=given.images)
    context = SimpleNamespace(model=given.prepared, target="vnni", config=SimpleNamespace(input_contract="as-is"))
    with mock.patch.object(layer_check, "_images", return_value=list(given.calibration.batches)):
        forms = layer_check.check_every_layer(context, plain, candidate.recipe, correct).files
    for number, form in enumerate((forms.qlinear, forms.qdq)):
        onnx.checker.check_model(form, full_check=True)
        save_model(form, folder / f"{number}.onnx")
    return Quantized(
        given, forms.qlinear, forms.qdq, *(scores(form, given.images) for form in (forms.qlinear, forms.qdq))
    )


class _Drawn(list[Batch]):
    """Batches with a number of images, as those of a run have."""

    crops = range(IMAGES)
