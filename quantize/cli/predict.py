"""``quantize predict``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from quantize.cli.options import RUN, Argument, Option, takes_settings
from quantize.cli.terminal import print_json, print_result
from quantize.errors import ExitCode

if TYPE_CHECKING:
    from quantize.config.values import Count, Place


@takes_settings("model.score_output", "model.max_memory", "model.opening_seconds", "preprocessing")
def predict(
    *,
    overrides: Mapping[str, object],
    model: Annotated[Place, Argument("The model, fp32 or quantized.", "MODEL")],
    images: Annotated[
        list[str], Argument("Image files, folders of images, or - for one from standard input.", "IMAGE...")
    ],
    compare: Annotated[Place | None, Option("A model to compare with, on the same images.", "FP32", RUN)] = None,
    top: Annotated[Count, Option("Answers per image.", panel=RUN)] = 5,
    class_names: Annotated[
        Place | None, Option("A file with one class name per line. (default: ImageNet's, for 1,000)", "FILE", RUN)
    ] = None,
    batch_size: Annotated[Count, Option("Images run at once.", panel=RUN)] = 16,
    json: Annotated[bool, Option("Print JSON.", panel=RUN)] = False,
    skip_unreadable: Annotated[bool, Option("Leave unreadable images out, and list them.", panel=RUN)] = False,
) -> ExitCode:
    """Show the likeliest classes, or the labels, of images.

    The preprocessing is the one in the model's metadata, or the catalog's for known weights; flags win over both.
    """
    from quantize.cli.progress import drawn_progress
    from quantize.commands.predict import predict as predict_images
    from quantize.config import load_config
    from quantize.opening.bounds import Bounds
    from quantize.prediction.answers import predict_text

    settings = load_config(None, overrides)
    with drawn_progress() as progress:
        report = predict_images(
            model,
            images,
            preprocessing=settings.preprocessing,
            score_output=settings.model.score_output,
            compare=compare,
            top=top,
            class_names=class_names,
            batch_size=batch_size,
            skip_unreadable=skip_unreadable,
            bounds=Bounds.of(settings.model),
            progress=progress,
        )
    print_json(report.model_dump_json(indent=1)) if json else print_result(predict_text(report))
    return ExitCode.DONE
