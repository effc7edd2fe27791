"""``quantize package``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from quantize.cli.flag_values import flag_value
from quantize.cli.terminal import print_result
from quantize.config.values import Place
from quantize.errors import ConfigError, ExitCode


def package(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run's folder, or its report.json.")] = None,
    check: Annotated[
        str | None, typer.Option("--check", metavar="FILE", help="Check a package instead: whole, safe, same answer.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="DIR", help="Where packages go. (default: package in the run)")
    ] = None,
    licence_file: Annotated[
        str | None,
        typer.Option(
            "--licence_file", metavar="FILE", help="Text of the fp32 model's licence. (default: the catalog's)"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", metavar=" ", help="Replace packages there.")] = False,
) -> Callable[[], ExitCode]:
    """Pack a run's models as the model zoo publishes them: model, sample test data, model card, licence.

    The same run gives the same bytes. Exit codes of --check: 0 right, 1 another answer, 2 refused.
    """
    folder: Path | None = flag_value("RUN", run, Place)
    checked: Path | None = flag_value("--check", check, Place)
    target: Path | None = flag_value("--output", output, Place)
    licence: Path | None = flag_value("--licence_file", licence_file, Place)
    if (folder is None) == (checked is None):
        raise ConfigError("name a run to pack, or a package to check", expected="RUN, or --check FILE")

    def pack() -> ExitCode:
        from quantize.commands.package import PackageRequest
        from quantize.commands.package import package as package_run

        assert folder is not None
        written = package_run(PackageRequest(folder, target, licence, overwrite))
        print_result("\n".join(f"{path} ({path.stat().st_size:,} bytes)" for path in written))
        return ExitCode.DONE

    def verify() -> ExitCode:
        from quantize.commands.package import verify_package

        assert checked is not None
        found = verify_package(checked)
        kernels = "on a CPU with the int8 instructions it was made with"
        if found.exact:
            kernels = "where no sum saturates"
        elif not found.same_isa:
            kernels = "on a CPU with other int8 instructions"
        lines = [f"{found.name}: {'whole' if found.answers else 'ANOTHER ANSWER'}"]
        lines += [f"  {name} ({size:,} bytes)" for name, size in found.files.items()]
        lines.append(
            f"  largest difference on the sample: {found.largest_difference:.2g} (up to {found.tolerance:g} {kernels})"
        )
        print_result("\n".join(lines))
        return ExitCode.DONE if found.answers else ExitCode.NOT_MET

    return pack if checked is None else verify
