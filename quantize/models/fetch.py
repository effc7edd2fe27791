"""Obtaining a model by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quantize.data.cache_folder import user_cache
from quantize.errors import ModelError
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.squeezenet import build_squeezenet, squeezenet_weights
from quantize.progress import Progress, silent

_REBUILT_OPSETS = {f"squeezenet1.0-{opset}": opset for opset in (3, 6, 7, 8, 9, 12)}


@dataclass(frozen=True)
class FetchedModel:
    """A model that was obtained.

    Attributes:
        path: Where it was written.
        source: ``zoo`` (downloaded) or ``rebuilt`` (from the published weights).
        artifact: The file's identity and contract.
    """

    path: Path
    source: Literal["zoo", "rebuilt"]
    artifact: ModelArtifact


def fetch(
    name: str, destination: Path | None = None, *, cache: Path | None = None, progress: Progress = silent
) -> FetchedModel:
    """Return a model of the catalog as a file.

    Args:
        name: Its name in the catalog, such as ``squeezenet1.0-12``.
        destination: The file to write; by default one in the cache.
        cache: Folder that keeps downloads; by default the user's.
        progress: Told of downloads.

    Raises:
        ModelError: There is no such model.
        DataError: What it is made from cannot be downloaded.
    """
    cache = user_cache() if cache is None else cache
    opset = _REBUILT_OPSETS.get(name)
    if opset is None:
        raise ModelError(
            f"there is no model {name!r} to fetch", expected="one of: " + ", ".join(sorted(_REBUILT_OPSETS))
        )
    model = build_squeezenet(squeezenet_weights(cache, progress), opset)
    artifact = save_model(model, destination or cache / "models" / f"{name}.onnx")
    return FetchedModel(artifact.path, "rebuilt", artifact)
