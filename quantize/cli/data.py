"""``quantize data check``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.progress import drawn_progress
from quantize.cli.terminal import print_result
from quantize.config.values import Count, Place
from quantize.errors import ExitCode, RunError

data = typer.Typer(name="data", help="Look at a data set.")


@data.command()
def check(
    data_path: Annotated[
        str,
        typer.Argument(metavar="DATA", help="Images: a folder, a tar archive, Parquet or Arrow files, or a pattern."),
    ],
    label_path: Annotated[
        str | None, typer.Option("--label_path", metavar="FILE", help="A label file, or ILSVRC2012's devkit.")
    ] = None,
    calibration_list: Annotated[
        str | None,
        typer.Option(
            "--calibration_list", metavar="FILE", help="Names of the calibration images; the others evaluate."
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", metavar="NUMBER", help="How many classes the model has.")
    ] = None,
    contact_sheet: Annotated[
        str | None, typer.Option("--contact_sheet", metavar="FILE", help="Write a PNG of images with their labels.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", metavar=" ", help="Print JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", metavar=" ", help="Replace the contact sheet.")] = False,
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="NUMBER", help="Processes that decode images. (default: one a core)"),
    ] = None,
) -> Callable[[], ExitCode]:
    """Read every image once: counts, classes, unreadable ones, odd modes, copies, calibration in evaluation.

    Exit codes: 0 sound, 1 figures measured on it could not be trusted, 2 something is missing.
    """
    place: Path = flag_value("DATA", data_path, Place)
    labels: Path | None = flag_value("--label_path", label_path, Place)
    named: Path | None = flag_value("--calibration_list", calibration_list, Place)
    count: int | None = flag_value("--classes", classes, Count)
    sheet: Path | None = flag_value("--contact_sheet", contact_sheet, Place)
    processes: int | None = flag_value("--workers", workers, Count)

    def begin() -> ExitCode:
        from quantize.commands.data_check import DataCheckRequest, check_images, data_check_json, data_check_text

        if sheet is not None and sheet.exists() and not overwrite:
            raise RunError(
                "there is something already",
                where=str(sheet),
                expected="a new file",
                advice="name another one with --contact_sheet, or say --overwrite",
            )
        request = DataCheckRequest(place, labels, named, count, sheet, processes)
        with drawn_progress() as progress:
            found = check_images(request, progress=progress)
        print_result(data_check_json(found) if json else data_check_text(found, sheet))
        return ExitCode.DONE if found.sound else ExitCode.NOT_MET

    return begin
