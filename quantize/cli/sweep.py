"""``quantize sweep``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from quantize.cli.options import Argument, Option
from quantize.cli.terminal import print_line, print_result
from quantize.errors import ExitCode

if TYPE_CHECKING:
    from quantize.config.values import Count, Place, Text


def sweep(
    config: Annotated[Place, Argument("The sweep's settings in YAML; flags win over them.", "FILE")],
    scheduler: Annotated[
        Text | None,
        Option("A Dask scheduler, such as tcp://host:8786. (default: processes of this machine)", "ADDRESS"),
    ] = None,
    output: Annotated[
        Place | None, Option("The folder of the runs and the report. (default: runs/sweep)", "PLACE")
    ] = None,
    workers: Annotated[
        Count | None, Option("Processes, where no scheduler is named; one of them tunes. (default: one per core)")
    ] = None,
    overwrite: Annotated[bool, Option("Do everything again, and replace runs of other settings.")] = False,
) -> ExitCode:
    """Tune many models on many machines (models, settings, engines, targets), and report on all of them.

    It needs the extra `sweep`. Each run is an ordinary run folder. A run that fails, fails alone; the same command
    again skips what is done.

    Exit codes: that of the worst run: 70, 2, 1, 3, 0 in that order; 130 interrupted.
    """
    from quantize.sweep.extra import require_dask

    require_dask()
    from quantize.cli.progress import drawn_progress
    from quantize.commands.idle_flags import given_flags, refuse_idle
    from quantize.sweep.config import read_sweep
    from quantize.sweep.drawings import sweep_text
    from quantize.sweep.sweep import SweepRequest
    from quantize.sweep.sweep import sweep as run_sweep

    settings = read_sweep(config, {"scheduler": scheduler, "output": output, "workers": workers})
    if settings.scheduler is not None:
        why = "the scheduler has workers of its own"
        refuse_idle(given_flags({}, workers=workers), ["workers"], why, "name no scheduler")
    request = SweepRequest(settings, overwrite, tuple(sys.argv))
    try:
        with drawn_progress() as progress:
            result = run_sweep(request, progress=progress)
    except KeyboardInterrupt:
        print_line(f"finished runs are kept; to continue, run the same command: quantize sweep {config}")
        raise
    print_result(f"{sweep_text(result.report)}\n\nResults: {result.folder}")
    return result.exit_code
