"""A sample input and what the model answers to it, as the model zoo lays them beside a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from PIL import Image

from quantize.data.preprocessing import Preprocessing
from quantize.formats.exact import open_exact_session
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.models.session import open_session

SAME_SUMS = 1e-4
"""Largest difference of a score, relative to the largest score where that exceeds 1, where nothing saturates: threads,
library versions and CPUs move less."""

OTHER_SUMS = 0.05
"""The same where sums can saturate on one of two CPUs: it may differ by more, and is another model then."""

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


def allowed_difference(model: ModelProto, *, same_sums: bool) -> float:
    """Return how far a score may lie from the sample's.

    Args:
        model: The model.
        same_sums: Whether sums are known to be computed as they were for the sample: both without saturation, or both
            with the same int8 instructions.
    """
    return SAME_SUMS if same_sums or not saturating_layers(model) else OTHER_SUMS


def make_sample(model: ModelArtifact, preprocessing: Preprocessing) -> Sample:
    """Return a drawn picture, preprocessed as in the run, and the model's scores of it, computed without saturation.

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


def answer(model: ModelArtifact, image: NDArray[np.generic], *, exact: bool = True) -> NDArray[np.float32]:
    """Return the model's output, in its own shape, for an input of its own type and layout.

    Args:
        model: The model.
        image: The input.
        exact: Whether sums are computed without saturation, so that every CPU gives the same, or as this CPU does.
    """
    session = (open_exact_session if exact else open_session)(model.path)
    (found,) = session.run([model.contract.output.name], {model.contract.input.name: image})
    return np.asarray(found)
