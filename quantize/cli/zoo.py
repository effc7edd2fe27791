"""``quantize zoo``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from quantize.cli.terminal import print_result
from quantize.errors import ExitCode


def zoo(
    json: Annotated[bool, typer.Option("--json", metavar=" ", help="Print JSON, with hashes and addresses.")] = False,
) -> Callable[[], ExitCode]:
    """List the models that are known by name: opset, size, preprocessing, published accuracy, how they are had.

    QUANTIZE_CATALOG names a YAML file with entries of your own; `quantize fetch NAME` obtains one.
    """

    def begin() -> ExitCode:
        from quantize.commands.zoo import zoo_json, zoo_text
        from quantize.models.catalog.catalog import load_catalog

        catalog = load_catalog()
        print_result(zoo_json(catalog) if json else zoo_text(catalog))
        return ExitCode.DONE

    return begin
