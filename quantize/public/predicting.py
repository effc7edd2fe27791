"""``quantize.predict``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quantize.commands.settings import PathLike, PreprocessingSettings, configured
from quantize.public.progress import shown

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quantize.prediction.answers import PredictReport
    from quantize.progress import Progress
    from quantize.public.kinds import ModelLike, Pictures


def predict(
    model: ModelLike,
    images: PathLike | Sequence[PathLike] | Pictures,
    *,
    compare: ModelLike | None = None,
    top: int = 5,
    class_names: PathLike | None = None,
    batch_size: int = 16,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    **preprocessing: Unpack[PreprocessingSettings],
) -> PredictReport:
    """Return the likeliest classes of each image.

    Example:
        >>> report = quantize.predict("run/model-13-int8.onnx", "images", compare="model.onnx")
        >>> report.predictions[0].label, report.predictions[0].agrees
        (0, True)

    Args:
        model: The model, fp32 or quantized, as a path, bytes of a file or a ModelProto.
        images: Files and folders of images; or decoded pictures, uint8 (N, H, W, 3) or a sequence of pictures.
        compare: A model to compare with, such as the fp32 model.
        top: How many answers an image.
        class_names: A file with a name a line; None: ImageNet's for 1,000 classes.
        batch_size: Images run at once.
        skip_unreadable: Go on without images that cannot be read.
        progress: Called after every batch of images; None: a bar in a notebook or a terminal, silence elsewhere.
        preprocessing: A preset or its parts; without any, the model's metadata and then the catalog decide.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.predict import predict as predict_images
    from quantize.public.given import model_file

    with shown(progress) as told:
        return predict_images(
            model_file(model),
            _places(images),
            preprocessing=configured(None, dict(preprocessing)).preprocessing,
            compare=None if compare is None else model_file(compare),
            top=top,
            class_names=None if class_names is None else Path(class_names),
            batch_size=batch_size,
            skip_unreadable=skip_unreadable,
            progress=told,
        )


def _places(images: PathLike | Sequence[PathLike] | Pictures) -> list[str]:
    """Return files and folders; decoded pictures become a folder."""
    from quantize.public.given import picture_folder

    if isinstance(images, str | os.PathLike):
        return [str(images)]
    named = [str(image) for image in images if isinstance(image, str | os.PathLike)]
    if named and len(named) == len(images):
        return named
    folder, _ = picture_folder(images)  # type: ignore[arg-type]
    return [str(folder)]
