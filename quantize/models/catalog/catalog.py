"""The catalog of known models: where to obtain them, their preprocessing and their published accuracy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from quantize.config.nearest import nearest
from quantize.errors import ModelError
from quantize.models.catalog.entry import CatalogEntry, Published, read_catalog_file

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["CATALOG_VARIABLE", "Catalog", "CatalogEntry", "Published", "catalog_entry_for", "load_catalog"]

CATALOG_VARIABLE = "QUANTIZE_CATALOG"
"""Environment variable that names a catalog of the user's own."""

_PACKAGED_FILE = Path(__file__).with_name("catalog.yaml")


@dataclass(frozen=True)
class Catalog:
    """Entries by name: the user's own first, then the packaged ones that have another name."""

    entries: Mapping[str, CatalogEntry]

    def __iter__(self) -> Iterator[CatalogEntry]:
        """Yield every entry."""
        return iter(self.entries.values())

    def named(self, name: str) -> CatalogEntry:
        """Return the entry of a model, by its name or its file's.

        Raises:
            ModelError: There is none.
        """
        known = self.entries.get(name) or next((entry for entry in self if entry.file == name), None)
        if known is None:
            meant = nearest(name, self.entries)
            raise ModelError(
                f"the catalog has no model {name!r}",
                expected="one of: " + ", ".join(self.entries),
                advice=f"did you mean {meant}?" if meant else f"add it in a catalog of your own ({CATALOG_VARIABLE})",
            )
        return known

    def entry_for(self, model: ModelProto, *, sha256: str | None = None) -> CatalogEntry | None:
        """Return the entry of a model, by its file's hash or its weights; of several, that of its opset first.

        Args:
            model: A float model, as given or prepared (folding BatchNormalization changes the weights).
            sha256: Hash of its file, where it is as published.
        """
        by_file = next((entry for entry in self if sha256 is not None and entry.sha256 == sha256), None)
        if by_file is not None:
            return by_file
        # To read the catalog, as `quantize zoo` does, takes no onnx.
        from quantize.graph.identity import weights_sha256
        from quantize.graph.nodes import default_opset

        weights = weights_sha256(model)
        same = [entry for entry in self if entry.weights_sha256 == weights]
        opset = default_opset(model)
        return min(same, key=lambda entry: (entry.opset != opset, -(entry.opset or 0)), default=None)


def load_catalog(own: Path | None = None) -> Catalog:
    """Return the packaged catalog, preceded by the entries of the user's YAML file.

    Args:
        own: The file; by default the one that the variable QUANTIZE_CATALOG names, or none.

    Raises:
        ConfigError: The file cannot be read, or an entry in it is wrong: with file, line and key.
    """
    if own is None and (named := os.environ.get(CATALOG_VARIABLE)):
        own = Path(named)
    packaged = _packaged_entries()
    if own is None:
        return Catalog(packaged)
    entries = read_catalog_file(own)
    return Catalog({**entries, **{name: entry for name, entry in packaged.items() if name not in entries}})


def catalog_entry_for(model: ModelProto, *, sha256: str | None = None) -> CatalogEntry | None:
    """Return the catalog's entry of a model, whatever its opset, or None if its weights are not known.

    Args:
        model: A float model.
        sha256: Hash of its file, where it is as published.

    Raises:
        ConfigError: The user's own catalog is wrong.
    """
    return load_catalog().entry_for(model, sha256=sha256)


@lru_cache(maxsize=1)
def _packaged_entries() -> Mapping[str, CatalogEntry]:
    return read_catalog_file(_PACKAGED_FILE)
