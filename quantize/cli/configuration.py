"""The configuration that a command starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import quantize
from quantize.config import RunConfig, load_config
from quantize.errors import RunError
from quantize.similar_names import did_you_mean

_EXAMPLE = Path(quantize.__file__).resolve().parent.parent / "configs" / "squeezenet.yaml"


def configuration(
    file: Path | None, overrides: Mapping[str, object], *, run: Path | None, demonstration: bool
) -> RunConfig:
    """Return the settings of a command: of the file that is named, else of what the command goes on from.

    Args:
        file: What ``--config`` names.
        overrides: Flags by dotted key; they win.
        run: An earlier run (its folder or report) whose settings are used where no file is named.
        demonstration: Whether the demonstration's settings are used where nothing else is named. An installed package
            has no ``configs`` folder: its defaults are the same but for the preset, which the model's catalog entry
            names.

    Raises:
        ConfigError: Something in the file or the flags is wrong.
        RunError: The earlier run is not there.
    """
    if run is not None and not run.exists():
        raise RunError(
            "run not found",
            where=str(run),
            expected="the folder that --output_model named, or its report.json",
            advice=did_you_mean(run),
        )
    if file is None and run is not None:
        of_run = (run if run.is_dir() else run.parent) / "config.yaml"
        file = of_run if of_run.is_file() else None
    if file is None and demonstration and _EXAMPLE.is_file():
        file = _EXAMPLE
    return load_config(file, overrides)
