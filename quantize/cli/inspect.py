"""``quantize inspect``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.terminal import print_result
from quantize.config.values import Place
from quantize.errors import ExitCode


def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An ONNX file, fp32 or int8.")],
) -> Callable[[], ExitCode]:
    """Show what a model file is: format, operators, share of int8 arithmetic, and the run that it comes from."""
    path = flag_value("MODEL", model, Place)

    def begin() -> ExitCode:
        from quantize.commands.inspect import inspect_model, inspection_text

        print_result(inspection_text(inspect_model(path)))
        return ExitCode.DONE

    return begin
