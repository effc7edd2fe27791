"""The sweep: four real classifiers on some photographs, whose decisions rest on no time."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

MODELS = {
    "efficientnet_lite0": True,
    "efficientnet_lite2": True,
    "open_nsfw_resnet50_thin": False,
    "pplcnet_x1_0_doc_orientation": False,
}
"""The files, and whether the photographs' labels are theirs; without labels agreement decides."""

_FILE = "sweep.yaml"


def is_own(folder: Path) -> bool:
    """Return whether a folder is one that ``write_sweep`` filled: its sweep names the settings beside it."""
    try:
        models = yaml.safe_load((folder / _FILE).read_text(encoding="utf-8"))["models"]
        return [entry["config"] for entry in models] == [str(_settings_of(folder, name)) for name in MODELS]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
        return False


def write_sweep(folder: Path, models: Path, data: Path, labels: Path, images: int) -> Path:
    """Write images, settings and the sweep's file; return that.

    Args:
        folder: Receives them.
        models: Folder of the models.
        data: Folder of the photographs.
        labels: Their label file.
        images: How many of them, evenly drawn.
    """
    photographs = folder / "val"
    photographs.mkdir(parents=True)
    lines = labels.read_text(encoding="utf-8").splitlines()
    drawn = [lines[number * len(lines) // images] for number in range(images)]
    for line in drawn:
        shutil.copyfile(data / line.split()[0], photographs / line.split()[0])
    (folder / "val.txt").write_text("".join(f"{line}\n" for line in drawn), encoding="utf-8")
    entries = []
    for name, labelled in MODELS.items():
        settings = _settings_of(folder, name)
        settings.write_text(yaml.safe_dump(_settings(photographs, folder / "val.txt" if labelled else None)))
        entries.append({"path": str(models / f"{name}.onnx"), "config": str(settings)})
    file = folder / _FILE
    file.write_text(yaml.safe_dump({"models": entries, "shard": 25}))
    return file


def _settings_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.yaml"


def _settings(data: Path, labels: Path | None) -> dict[str, object]:
    """Return settings under which the same files come of every run: nothing is decided by what was timed."""
    return {
        "data": {"path": str(data), **({} if labels is None else {"labels": str(labels)})},
        "quantization": {"calibration": {"sampling_size": 25}},
        "rewrites": "none",
        "evaluation": {"performance": {"warmup": 2, "iteration": 20, "max_seconds": 4}},
        "tuning": {
            "engine": "ort",
            "quick": True,
            "placement": "all-int8",
            "speed_criterion": {"min_speedup": 0},
            "exit_policy": {"max_trials": 1},
        },
    }
