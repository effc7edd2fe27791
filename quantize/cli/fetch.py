"""``quantize fetch``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.progress import drawn_progress
from quantize.cli.terminal import print_result
from quantize.config.values import Place
from quantize.errors import ExitCode, RunError


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model, such as squeezenet1.0-12.")],
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Where to write it. (default: NAME.onnx)")
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            "--mirror", metavar="ADDRESS", help="Below it the zoo's files lie; tried first. (default: QUANTIZE_MIRROR)"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar=" ", help="Replace a file in the same place.")
    ] = False,
) -> Callable[[], ExitCode]:
    """Obtain a model of the ONNX model zoo."""
    destination: Path = flag_value("--output", output, Place) or Path(f"{name}.onnx")

    def begin() -> ExitCode:
        from quantize.models.download.fetch import fetch as fetch_model

        if destination.exists() and not overwrite:
            raise RunError(
                "there is something already",
                where=str(destination),
                expected="a new file",
                advice="name another one with --output, or say --overwrite",
            )
        with drawn_progress() as progress:
            model = fetch_model(name, destination, mirror=mirror, progress=progress)
        print_result(f"{model.path} ({model.path.stat().st_size:,} bytes, source: {model.source})")
        return ExitCode.DONE

    return begin
