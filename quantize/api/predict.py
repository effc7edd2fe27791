"""What a model says about images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quantize.config.preprocessing import PreprocessingBlock
from quantize.data.preprocessing import PRESETS, Preprocessing, choose_preprocessing
from quantize.data.workers import available_cpus
from quantize.errors import ConfigError, ModelError
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog import catalog_entry_for
from quantize.prediction.answers import PredictReport
from quantize.prediction.class_names import class_names
from quantize.prediction.metadata import preprocessing_in
from quantize.prediction.pictures import pictures
from quantize.prediction.predict import Predictor, predictions
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
    names = class_names(model.contract.classes, request.class_names)
    threads = request.threads or available_cpus()

    def ready(artifact: ModelArtifact, chosen: Preprocessing) -> Predictor:
        return Predictor(artifact, chosen, names=names, top=request.top, threads=threads)

    # The model to compare with sees what the first one sees: its own file often names no preprocessing.
    answered, left_out = predictions(
        found,
        ready(model, preprocessing),
        other=None if other is None else ready(other, preprocessing),
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


def model_preprocessing(model: ModelArtifact, asked: PreprocessingBlock) -> tuple[Preprocessing, str]:
    """Return a model's preprocessing, sizes decided, and where it comes from.

    What is asked for comes first, laid over what the model's metadata says, or else the catalog.

    Raises:
        ConfigError: Nothing says what the preprocessing is, or its sizes do not fit the model.
        ModelError: The model's metadata is damaged.
    """
    height, width = model.contract.image_size or (None, None)
    given = asked.given()
    if "preset" in given:
        return choose_preprocessing(given).for_input_size(height, width), f"'{asked.preset}', as asked"
    proto = model.proto()
    known, origin = preprocessing_in(proto, where=str(model.path)), "from the model's metadata"
    if known is None:
        entry = catalog_entry_for(proto, sha256=model.sha256)
        known = entry.chosen_preprocessing() if entry is not None else None
        origin = f"of {entry.name} in the catalog" if entry is not None else ""
    if known is not None:
        chosen = Preprocessing.model_validate({**known.model_dump(), **given})
        origin = f"'{known.preset}', {origin}" if known.preset else origin
        return chosen.for_input_size(height, width), origin + (", changed as asked" if given else "")
    if given:
        return choose_preprocessing(given).for_input_size(height, width), "as asked"
    raise ConfigError(
        "nothing says which preprocessing this model takes",
        where=str(model.path),
        found="neither metadata in the file nor its weights in the catalog",
        expected=f"--preset, one of: {', '.join(PRESETS)}",
        advice="name the one that the model was trained with; a wrong one costs nearly all accuracy",
    )
