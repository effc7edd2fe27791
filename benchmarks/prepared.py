"""How a benchmark prepares images for a model, and what its folders take."""

from __future__ import annotations

from pathlib import Path

from quantize.data.preprocessing import Preprocessing, choose_preprocessing
from quantize.models.contract import ModelContract


def preprocessing_of(contract: ModelContract, preset: str) -> Preprocessing:
    """Return a preset's preprocessing in the sizes and channels that a model takes."""
    return choose_preprocessing({"preset": preset}, contract.channels).for_input(contract.image_size, contract.channels)


def disk_bytes(folder: Path) -> int:
    """Return what the files below a folder take of the disk; none where there is no folder."""
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return sum(path.stat().st_blocks * 512 for path in files)
