"""``quantize predict``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.progress import drawn_progress
from quantize.cli.setting_flags import FILES, RUN, settings_below, with_settings
from quantize.cli.terminal import print_result
from quantize.config import load_config
from quantize.config.values import Count, Place
from quantize.errors import ExitCode


@with_settings(settings_below("preprocessing"))
def predict(
    *,
    overrides: dict[str, object],
    model: Annotated[str, typer.Argument(metavar="MODEL", rich_help_panel=FILES, help="The model, fp32 or quantized.")],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            rich_help_panel=FILES,
            help="Image files, folders of images, or - for one from standard input.",
        ),
    ],
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare", metavar="FP32", rich_help_panel=RUN, help="A model to compare with, on the same images."
        ),
    ] = None,
    top: Annotated[
        str | None, typer.Option("--top", metavar="NUMBER", rich_help_panel=RUN, help="Answers an image. (default: 5)")
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option(
            "--class_names",
            metavar="FILE",
            rich_help_panel=RUN,
            help="A class name a line. (default: ImageNet's, for 1,000)",
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option("--batch_size", metavar="NUMBER", rich_help_panel=RUN, help="Images run at once. (default: 16)"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", metavar=" ", rich_help_panel=RUN, help="Print JSON.")] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip_unreadable", metavar=" ", rich_help_panel=RUN, help="Leave unreadable images out, and list them."
        ),
    ] = False,
) -> Callable[[], ExitCode]:
    """Say what a model sees in images: the five likeliest classes of each.

    The preprocessing is the one in the model's metadata, or the catalog's for known weights; flags win over both.
    """
    file: Path = flag_value("MODEL", model, Place)
    other: Path | None = flag_value("--compare", compare, Place)
    names: Path | None = flag_value("--class_names", class_names, Place)
    answers: int = flag_value("--top", top, Count) or 5
    together: int = flag_value("--batch_size", batch_size, Count) or 16
    asked = load_config(None, overrides).preprocessing

    def begin() -> ExitCode:
        from quantize.commands.predict import PredictRequest
        from quantize.commands.predict import predict as predict_images
        from quantize.prediction.text import predict_text

        request = PredictRequest(
            model=file,
            images=tuple(images),
            preprocessing=asked,
            compare=other,
            top=answers,
            class_names=names,
            batch_size=together,
            skip_unreadable=skip_unreadable,
        )
        with drawn_progress() as progress:
            report = predict_images(request, progress=progress)
        print_result(report.model_dump_json(indent=1) if json else predict_text(report))
        return ExitCode.DONE

    return begin
