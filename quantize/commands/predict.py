"""Predict the classes of images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from quantize.config.run_config import PreprocessingBlock
from quantize.data.image_bounds import LARGEST_FILE
from quantize.data.preprocessing import Preprocessing
from quantize.errors import ModelError
from quantize.models.artifact import ModelArtifact
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.prediction.answers import PredictReport
from quantize.prediction.class_names import class_names as names_of_classes
from quantize.prediction.predict import Predictor, pictures, predictions
from quantize.prediction.preprocessing import input_of, model_preprocessing
from quantize.processes.pool import available_cpus
from quantize.progress import Progress, silent


def predict(
    model: Path,
    images: Sequence[str],
    *,
    preprocessing: PreprocessingBlock | None = None,
    score_output: str | None = None,
    compare: Path | None = None,
    top: int = 5,
    class_names: Path | None = None,
    batch_size: int = 16,
    threads: int | None = None,
    skip_unreadable: bool = False,
    bounds: Bounds = Bounds(),
    standard_input: Callable[[], bytes] = lambda: sys.stdin.buffer.read(LARGEST_FILE + 1),
    progress: Progress = silent,
) -> PredictReport:
    """Return the classes that a model names for each image, with their probabilities.

    Args:
        model: The model, fp32 or quantized.
        images: Files, folders (the images in and below them), and ``-`` for one image from standard input.
        preprocessing: The preset or parts that the caller names; else the model's metadata and then the catalog decide.
        score_output: The output that holds the scores, where several could.
        compare: A model to compare with, such as the fp32 model.
        top: How many answers an image.
        class_names: A file with a name a line; None: ImageNet's for 1,000 classes.
        batch_size: Images run at once.
        threads: Threads of the session; None: as many as CPUs.
        skip_unreadable: Go on without images that cannot be read.
        bounds: Of opening the models.
        standard_input: Reads standard input.
        progress: Called after every batch.

    Raises:
        QuantizeError: Something that the user can fix.
    """
    asked = preprocessing or PreprocessingBlock()
    files = pictures(images, standard_input)
    for given in (model, *([] if compare is None else [compare])):
        prove(given, bounds, score_output=score_output)
    artifact = ModelArtifact.load(model, score_output=score_output)
    chosen, origin = model_preprocessing(artifact, asked)
    other = None if compare is None else ModelArtifact.load(compare, score_output=score_output)
    if other is not None and other.contract.classes != artifact.contract.classes:
        raise ModelError(
            "the two models score different numbers of classes",
            where=str(other.path),
            found=f"{other.contract.classes:,}, and {artifact.contract.classes:,} in {artifact.path}",
            expected="the same",
        )
    compared = chosen  # that of the first one too: a file often names none
    if other is not None and input_of(other) != input_of(artifact):
        compared, _ = model_preprocessing(other, asked)
    names = names_of_classes(artifact.contract.classes, class_names)

    def ready(model: ModelArtifact, preprocessing: Preprocessing) -> Predictor:
        return Predictor(model, preprocessing, names=names, top=top, threads=threads or available_cpus())

    predicted, left_out = predictions(
        files,
        ready(artifact, chosen),
        other=None if other is None else ready(other, compared),
        batch_size=batch_size,
        skip_unreadable=skip_unreadable,
        progress=progress,
    )
    agreeing = sum(prediction.agrees is True for prediction in predicted)
    return PredictReport(
        model=str(model),
        sha256=artifact.sha256,
        compared=None if compare is None else str(compare),
        preprocessing=origin,
        predictions=predicted,
        left_out=left_out,
        agreement=None if other is None else agreeing / len(predicted),
    )
