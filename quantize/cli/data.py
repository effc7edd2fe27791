"""``quantize data check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from quantize.cli.command_line import Commands
from quantize.cli.options import Argument, Option
from quantize.cli.terminal import print_json, print_result
from quantize.errors import ExitCode, RunError

if TYPE_CHECKING:
    from quantize.config.values import Count, Place


def check(
    data_path: Annotated[
        Place, Argument("Images: a folder, a tar archive, Parquet or Arrow files, or a pattern.", "DATA")
    ],
    label_path: Annotated[Place | None, Option("A label file, or ILSVRC2012's devkit.", "FILE")] = None,
    calibration_list: Annotated[
        Place | None, Option("File with the names of the calibration images; all others are evaluated.", "FILE")
    ] = None,
    classes: Annotated[Count | None, Option("Number of classes of the model.")] = None,
    contact_sheet: Annotated[Place | None, Option("Write a PNG of images with their labels.", "FILE")] = None,
    json: Annotated[bool, Option("Print JSON.")] = False,
    overwrite: Annotated[bool, Option("Replace the contact sheet.")] = False,
    workers: Annotated[Count | None, Option("Processes that decode images. (default: one per core)")] = None,
) -> ExitCode:
    """Read every image once: counts, classes, unreadable ones, odd modes, copies, calibration in evaluation.

    Exit codes: 0 sound, 1 figures measured on it could not be trusted, 2 something is missing.
    """
    from quantize.cli.progress import drawn_progress
    from quantize.commands.data_check import check_images, data_check_json, data_check_text
    from quantize.commands.idle_flags import given_flags, refuse_idle

    if contact_sheet is None:
        refuse_idle(
            given_flags({}, overwrite=overwrite), ["overwrite"], "nothing is written", "pass --contact_sheet FILE"
        )
    if contact_sheet is not None and contact_sheet.exists() and not overwrite:
        raise RunError(
            "already exists",
            where=str(contact_sheet),
            expected="a path that does not exist yet",
            advice="choose another with --contact_sheet, or pass --overwrite",
        )
    with drawn_progress() as progress:
        checked = check_images(
            data_path,
            label_path,
            calibration_list,
            classes=classes,
            sheet=contact_sheet,
            workers=workers,
            progress=progress,
        )
    print_json(data_check_json(checked)) if json else print_result(data_check_text(checked, contact_sheet))
    return ExitCode.DONE if checked.sound else ExitCode.NOT_MET


class _Data(Commands):
    functions = {"check": check}  # noqa: RUF012 - read only


data = _Data(name="data", help="Examine a data set.")
