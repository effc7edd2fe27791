"""The settings of a run as Python keyword arguments, named like the flags of the commands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from quantize.config import RunConfig, load_config
from quantize.config.nearest import nearest
from quantize.config.schema import settings as every_setting
from quantize.data.presets.registry import PresetName
from quantize.errors import ConfigError
from quantize.recipe import EngineName
from quantize.target import Target

PathLike = str | os.PathLike[str]


class PreprocessingSettings(TypedDict, total=False):
    """How images become the model's input: a preset, and parts that replace the preset's."""

    preset: PresetName
    resize: int
    resize_mode: Literal["square", "shorter"]
    crop: int
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
    channel_order: Literal["RGB", "BGR", "L"]
    scale: float
    mean: Sequence[float]
    std: Sequence[float]


class Settings(PreprocessingSettings, total=False):
    """Every setting of a run, by the last name of its key in a configuration file; fractions are of 1."""

    framework: str
    score_output: str
    requantize: bool
    max_memory: int | str
    opening_seconds: float
    pictures: bool
    data_path: PathLike
    label_path: PathLike
    calibration_list: PathLike
    approach: str
    sampling_size: int
    in_evaluation: bool
    target: Target
    reduce_range: bool
    model_wise: Mapping[str, Any]
    optype_wise: Mapping[str, Any]
    op_wise: Mapping[str, Any]
    topk: int
    warmup: int
    iteration: int
    max_seconds: float
    cores_per_instance: int
    num_of_instance: int
    engine: Literal[EngineName, "both", "all"]
    strategy: str
    relative: float
    absolute: float
    agreement: float
    confidence: float
    min_speedup: float
    quick: bool
    timeout: int
    max_trials: int
    placement: Literal["measured", "all-int8"]
    time_budget: float
    certification: float
    random_seed: int
    rewrites: str | Sequence[str]
    input_contract: str


def configured(config: PathLike | None, settings: Mapping[str, object]) -> RunConfig:
    """Return the settings of a configuration file, with keyword arguments laid over them.

    Args:
        config: A file, or None for the defaults.
        settings: Keyword arguments by name; None stands for one that was not given.

    Raises:
        ConfigError: A name is no setting, or something in the file or a value is wrong.
    """
    keys = {setting.flag: setting.key for setting in every_setting()}
    for name in settings:
        if name not in keys:
            meant = nearest(name, keys)
            raise ConfigError(
                f"unknown setting {name!r}",
                expected="one of " + ", ".join(sorted(keys)),
                advice=f"did you mean {meant}?" if meant else None,
            )
    overrides = {keys[name]: _plain(value) for name, value in settings.items()}
    return load_config(None if config is None else Path(config), overrides)


def _plain(value: object) -> object:
    """Return a value as a configuration file would hold it."""
    if isinstance(value, os.PathLike):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
