"""What a model says about images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quantize.config.run_config import PreprocessingBlock
from quantize.data.preprocessing import Preprocessing
from quantize.errors import ModelError
from quantize.models.artifact import ModelArtifact
from quantize.prediction.answers import PredictReport
from quantize.prediction.class_names import class_names
from quantize.prediction.predict import Predictor, pictures, predictions
from quantize.prediction.preprocessing import input_of, model_preprocessing
from quantize.processes.pool import available_cpus
from quantize.progress import Progress, silent

__all__ = ["PredictRequest", "model_preprocessing", "predict"]


def _standard_input() -> bytes:
    return sys.stdin.buffer.read()


@dataclass(frozen=True)
class PredictRequest:
    """Some images for one model, or for two.

    Attributes:
        model: The model, fp32 or quantized.
        images: Files, folders (the images in and below them), and ``-`` for one image from standard input.
        preprocessing: What is asked for; where nothing is, the model's metadata and then the catalog decide.
        compare: A model to compare with, such as the fp32 model.
        top: How many answers an image.
        class_names: A file with a name a line; None: ImageNet's for 1,000 classes.
        batch_size: Images run at once.
        threads: Threads of the session; None: as many as CPUs.
        skip_unreadable: Go on without images that cannot be read.
        standard_input: Reads standard input.
    """

    model: Path
    images: Sequence[str]
    preprocessing: PreprocessingBlock = field(default_factory=PreprocessingBlock)
    compare: Path | None = None
    top: int = 5
    class_names: Path | None = None
    batch_size: int = 16
    threads: int | None = None
    skip_unreadable: bool = False
    standard_input: Callable[[], bytes] = _standard_input


def predict(request: PredictRequest, *, progress: Progress = silent) -> PredictReport:
    """Return the classes that a model names for each image, with their probabilities.

    Raises:
        QuantizeError: Something that the user can mend: see its children.
    """
    found = pictures(request.images, request.standard_input)
    model = ModelArtifact.load(request.model)
    preprocessing, origin = model_preprocessing(model, request.preprocessing)
    other = None if request.compare is None else ModelArtifact.load(request.compare)
    if other is not None and other.contract.classes != model.contract.classes:
        raise ModelError(
            "the two models score different numbers of classes",
            where=str(other.path),
            found=f"{other.contract.classes:,}, and {model.contract.classes:,} in {model.path}",
            expected="the same",
        )
    compared = preprocessing  # that of the first one too: a file often names none
    if other is not None and input_of(other) != input_of(model):
        compared, _ = model_preprocessing(other, request.preprocessing)
    names = class_names(model.contract.classes, request.class_names)
    threads = request.threads or available_cpus()

    def ready(artifact: ModelArtifact, chosen: Preprocessing) -> Predictor:
        return Predictor(artifact, chosen, names=names, top=request.top, threads=threads)

    answered, left_out = predictions(
        found,
        ready(model, preprocessing),
        other=None if other is None else ready(other, compared),
        batch_size=request.batch_size,
        skip_unreadable=request.skip_unreadable,
        progress=progress,
    )
    return PredictReport(
        model=str(request.model),
        sha256=model.sha256,
        compared=None if request.compare is None else str(request.compare),
        preprocessing=origin,
        predictions=answered,
        left_out=left_out,
        agreement=None if other is None else sum(one.agrees is True for one in answered) / len(answered),
    )
