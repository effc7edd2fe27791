"""The settings of a run: one schema for YAML files, flags and Python callers."""

from quantize.config.load import load_config
from quantize.config.run_config import RunConfig

__all__ = ["RunConfig", "load_config"]
