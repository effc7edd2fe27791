"""The settings that decide what comes of a run, which are those that it was begun with until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantize.config.leaves import leaves
from quantize.config.load import load_config
from quantize.config.run_config import RunConfig
from quantize.errors import ConfigError, RunError
from quantize.run.quick import bounded

_UNDECIDED: Mapping[str, Any] = {
    **{"notes": True, "report": True, "data": {"path", "labels", "calibration_list"}},
    "model": {"max_memory", "opening_seconds"},
}
"""What decides nothing of what comes of a run: places, which may change while contents do not, and bounds."""


def deciding(config: RunConfig) -> Mapping[str, Any]:
    """Return the settings that decide what comes of a run, as JSON values."""
    values: Mapping[str, Any] = config.model_dump(mode="json", exclude=dict(_UNDECIDED))
    return values


def refuse_other_settings(run: Path, config: RunConfig) -> None:
    """Refuse to go on with settings that are not those that a run was begun with, before anything is computed.

    Args:
        run: The run's folder; one without readable settings is left to its journal.
        config: What is asked for now.

    Raises:
        RunError: Settings differ; the error names each.
    """
    written = run / "config.yaml"
    if not written.is_file():
        return
    try:
        begun = dict(leaves(deciding(load_config(written, {}))))
    except ConfigError:
        return
    asked = dict(leaves(deciding(bounded(config))))
    other = [f"{key}: {asked.get(key)}" for key in sorted({*begun, *asked}) if begun.get(key) != asked.get(key)]
    if other:
        names = [text.partition(":")[0] for text in other]
        raise RunError(
            "a run goes on with the settings that it was begun with",
            where=str(run),
            found=", ".join(other),
            expected=", ".join(f"{name}: {begun.get(name)}" for name in names),
            advice="leave them out, or begin another run",
        )
