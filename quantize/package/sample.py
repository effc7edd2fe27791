"""A sample input and what the model answers to it, as the model zoo lays them beside a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from PIL import Image

from quantize.data.preprocessing import Preprocessing
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.models.session import open_session

SAME_KERNELS = 1e-4
"""Largest difference of a score, relative to the largest score where that exceeds 1, on a CPU with the same int8
instructions: threads and library versions move less."""

OTHER_KERNELS = 0.05
"""The same on any other CPU, for a model that can saturate there: it may differ by more, and is another model then."""

_COARSE = 9


@dataclass(frozen=True)
class Sample:
    """A model's input and output, by the names in its graph.

    Attributes:
        input: What goes in.
        output: What came out.
    """

    input: TensorProto
    output: TensorProto


def allowed_difference(model: ModelProto, *, same_isa: bool) -> float:
    """Return how far a score may lie from the sample's.

    Args:
        model: The model.
        same_isa: Whether this CPU has the int8 instructions of the one that made the sample.
    """
    return SAME_KERNELS if same_isa or not saturating_layers(model) else OTHER_KERNELS


def make_sample(model: ModelArtifact, preprocessing: Preprocessing) -> Sample:
    """Return a drawn picture, preprocessed as in the run, and the model's scores of it on this machine.

    The picture is random colours, smoothed: the same every time, and nobody's photograph.
    """
    side = preprocessing.side
    coarse = np.random.default_rng(0).integers(0, 256, (_COARSE, _COARSE, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    contract = model.contract
    image = in_form(contract, preprocessing.normalize(np.asarray(picture)[np.newaxis]))
    image = np.repeat(image, contract.fixed_batch or 1, axis=0)
    return Sample(
        input=numpy_helper.from_array(image, contract.input.name),
        output=numpy_helper.from_array(answer(model, image), contract.output.name),
    )


def answer(model: ModelArtifact, image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the model's output, in its own shape, for an input of its own type and layout."""
    (found,) = open_session(model.path).run([model.contract.output.name], {model.contract.input.name: image})
    return np.asarray(found)
