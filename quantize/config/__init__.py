"""The settings of a run: one schema for YAML files, flags and Python callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantize.config.load import load_config
    from quantize.config.run_config import RunConfig

__all__ = ["RunConfig", "load_config"]


def __getattr__(name: str) -> Any:
    """Load the schema when it is first used: who reads another YAML file of this package needs none of it."""
    if name == "RunConfig":
        from quantize.config.run_config import RunConfig

        return RunConfig
    if name == "load_config":
        from quantize.config.load import load_config

        return load_config
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
