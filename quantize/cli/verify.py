"""``quantize verify``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.progress import drawn_progress
from quantize.cli.terminal import print_result
from quantize.config.values import Place
from quantize.errors import ExitCode


def verify(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An int8 model that a run wrote.")],
    report: Annotated[
        str | None, typer.Option("--report", metavar="RUN", help="Its run. (default: the one beside the model)")
    ] = None,
    input_model: Annotated[
        str | None, typer.Option("--input_model", metavar="FILE", help="The run's fp32 model, where it lies now.")
    ] = None,
    data_path: Annotated[
        str | None, typer.Option("--data_path", metavar="PLACE", help="The run's images, where they lie now.")
    ] = None,
    label_path: Annotated[
        str | None, typer.Option("--label_path", metavar="FILE", help="Their labels, where they lie now.")
    ] = None,
    file_only: Annotated[
        bool, typer.Option("--file_only", metavar=" ", help="Do not repeat the run: check the file alone.")
    ] = False,
) -> Callable[[], ExitCode]:
    """Check a model file against its run's report, and that the run can be repeated bit for bit.

    On other instruction sets or versions a different repetition is `not comparable`, and no failure.

    Exit codes: 0 all as it should be, 1 something is not, 2 something to fix.
    """
    path, run = flag_value("MODEL", model, Place), flag_value("--report", report, Place)
    source = flag_value("--input_model", input_model, Place)
    data, labels = flag_value("--data_path", data_path, Place), flag_value("--label_path", label_path, Place)

    def begin() -> ExitCode:
        from quantize.commands.verify import VerifyRequest
        from quantize.commands.verify import verify as verify_model
        from quantize.gate.text import lines_text
        from quantize.run.repeat import Inputs

        request = VerifyRequest(path, run, repeat=not file_only, inputs=Inputs(source, data, labels))
        with drawn_progress() as progress:
            found = verify_model(request, progress=progress)
        print_result(lines_text(found.lines))
        return found.exit_code

    return begin
