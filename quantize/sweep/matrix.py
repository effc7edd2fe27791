"""The runs of a sweep: each model with each of its settings files, engines and targets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from quantize.config.load import load_config
from quantize.config.run_config import RunConfig
from quantize.errors import ConfigError
from quantize.sweep.config import SweepConfig, SweepModel

_UNUSUAL = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class Entry:
    """One run of a sweep.

    Attributes:
        name: What it is called, unique in the sweep; its folder too.
        model: The fp32 model, absolute.
        settings: Its settings file as the user named it; None: the defaults.
        config: All its settings; paths are absolute.
        folder: Its run's folder, absolute.
    """

    name: str
    model: Path
    settings: Path | None
    config: RunConfig
    folder: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return what a worker has to find to tune it."""
        data = self.config.data
        named = (self.model, data.path, data.labels, data.calibration_list)
        return tuple(path for path in named if path is not None)

    @property
    def images(self) -> tuple[Path, ...]:
        """Return what a worker has to find to evaluate its models."""
        data = self.config.data
        return tuple(path for path in (data.path, data.labels) if path is not None)


def entries_of(config: SweepConfig) -> tuple[Entry, ...]:
    """Return every run of a sweep, in the order of the file: a model's runs follow each other.

    Raises:
        ConfigError: A settings file is wrong, no images are named, or two runs would have the same name.
    """
    output = config.output.absolute()
    entries = [entry for model in config.models for entry in _runs_of(model, config, output)]
    twice = [name for name, count in Counter(entry.name.lower() for entry in entries).items() if count > 1]
    if twice:
        raise ConfigError(
            "two runs of the sweep would have the same name",
            where="models",
            found=", ".join(twice[:10]),
            expected="models and settings files whose names differ",
            advice="give the models a `name`, or name what is written twice once",
        )
    return tuple(entries)


def _runs_of(model: SweepModel, config: SweepConfig, output: Path) -> Iterator[Entry]:
    files: tuple[Path | None, ...] = (model.config,) if model.config is not None else config.configs or (None,)
    for settings, engine, target in product(files, config.engines or (None,), config.targets or (None,)):
        overrides = {"tuning.engine": engine, "quantization.target": target}
        own = _with_images(load_config(settings, overrides), config, settings)
        several = ((files, settings and settings.stem), (config.engines, engine), (config.targets, target))
        parts = [model.name or model.path.stem, *(part for options, part in several if part and len(options) > 1)]
        name = _UNUSUAL.sub("_", "-".join(parts)).lstrip(".") or "model"
        yield Entry(name, model.path.absolute(), settings, own, output / name)


def _with_images(own: RunConfig, config: SweepConfig, settings: Path | None) -> RunConfig:
    """Return a run's settings with the sweep's images where they name none, and with absolute paths.

    Raises:
        ConfigError: Neither names images.
    """
    data = own.data
    if data.path is None:
        labels = data.labels or config.data.labels
        data = data.model_copy(update={"path": config.data.path, "labels": labels})
    if data.path is None:
        raise ConfigError(
            "no images are named",
            where="data.path" if settings is None else f"{settings}: data.path",
            expected="the images as each worker finds them",
            advice="name them under `data` in the sweep's file or in the settings file",
        )
    places = {name: getattr(data, name) for name in ("path", "labels", "calibration_list")}
    absolute = {name: None if path is None else path.absolute() for name, path in places.items()}
    return own.model_copy(update={"data": data.model_copy(update=absolute)})
