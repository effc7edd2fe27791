"""``quantize package``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from quantize.cli import opening
from quantize.cli.options import Argument, Option
from quantize.cli.terminal import print_result
from quantize.errors import ConfigError, ExitCode
from quantize.quoting import quoted

if TYPE_CHECKING:
    from quantize.config.values import Place, Seconds, Size
    from quantize.opening.bounds import Bounds


def package(
    run: Annotated[Place | None, Argument("The run's folder, or its report.json.", "RUN")] = None,
    check: Annotated[Place | None, Option("Check a package instead: intact, safe, same answers.", "FILE")] = None,
    output: Annotated[Place | None, Option("Folder for the packages. (default: package in the run)", "DIR")] = None,
    licence_file: Annotated[
        Place | None, Option("Text of the fp32 model's licence. (default: the catalog's)", "FILE")
    ] = None,
    overwrite: Annotated[bool, Option("Replace packages there.")] = False,
    max_memory: Annotated[Size | None, Option(opening.MEMORY)] = None,
    opening_seconds: Annotated[Seconds | None, Option(opening.TIME)] = None,
) -> ExitCode:
    """Pack a run's models as the model zoo publishes them: model, sample test data, model card, licence.

    The same run gives the same bytes. Exit codes of --check: 0 right, 1 another answer, 2 refused.
    """
    from quantize.commands.idle_flags import given_flags, refuse_idle

    within = opening.bounds(max_memory, opening_seconds)
    if check is not None and run is None:
        packing = given_flags({}, output=output, licence_file=licence_file, overwrite=overwrite)
        refuse_idle(packing, sorted(packing), "--check writes no package", "name a run to pack in place of --check")
        return _checked(check, within)
    if run is None or check is not None:
        raise ConfigError(
            "name a run to pack, or a package to check",
            expected="RUN, or --check FILE",
            advice="see `quantize package --help`",
        )
    from quantize.commands.package import package as package_run

    written = package_run(run, output, licence_file, overwrite=overwrite, bounds=within)
    print_result("\n".join(f"{quoted(path)} ({path.stat().st_size:,} bytes)" for path in written))
    return ExitCode.DONE


def _checked(package: Path, within: Bounds) -> ExitCode:
    from quantize.packages.verify import verify_package

    verified = verify_package(package, within)
    kernels = "on a CPU with the int8 instructions it was made with"
    if verified.exact:
        kernels = "where no sum saturates"
    elif not verified.same_isa:
        kernels = "on a CPU with other int8 instructions"
    lines = [f"{quoted(verified.name)}: {'intact' if verified.answers else 'the answer differs'}"]
    lines += [f"  {quoted(name)} ({size:,} bytes)" for name, size in verified.files.items()]
    lines.append(
        f"  largest difference on the sample: {verified.largest_difference:.2g} "
        f"(up to {verified.tolerance:g} {kernels})"
    )
    print_result("\n".join(lines))
    return ExitCode.DONE if verified.answers else ExitCode.NOT_MET
