"""What a model file contains, and which models are known by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantize.formats import quantized_format
from quantize.formats.float_weights import stored_layers
from quantize.measurement.machine.resources import Resources, measure_resources
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import Catalog, CatalogEntry, catalog_entry_for
from quantize.report.integer_share import Arithmetic, arithmetic_of
from quantize.report.metadata import PREFIX, read_facts
from quantize.report.speed_tables import STORED, opening
from quantize.report.table import Table
from quantize.report.text import drawn
from quantize.report.wording import NOTHING, megabytes, one_line, percent
from quantize.run.export import op_counts

_FORMATS = {"float": "fp32", "qlinear": "int8 (QLinear)", "qdq": "int8 (QDQ)"}


@dataclass(frozen=True)
class Inspection:
    """A model file.

    Attributes:
        model: The file, its hashes and contract.
        format: ``qlinear``, ``qdq``, ``mixed`` or ``float``.
        catalog: Its name in the catalog, where its weights are known.
        ops: Op type to number of nodes.
        arithmetic: Multiply-adds, and those in int8.
        facts: What this tool wrote into it, key (without prefix) to text; empty for other models.
        stored: Layers that are stored in int8 and computed in fp32.
        opening: What opening the model takes, if it has such layers; None otherwise.
    """

    model: ModelArtifact
    format: str
    catalog: str | None
    ops: dict[str, int]
    arithmetic: Arithmetic
    facts: dict[str, str]
    stored: tuple[str, ...] = ()
    opening: Resources | None = None


def inspect_model(path: Path) -> Inspection:
    """Return what a model file is and says of itself.

    Raises:
        ModelError: It is no image classifier that can be read.
    """
    artifact = ModelArtifact.load(path)
    proto = artifact.proto()
    kind = quantized_format(proto)
    entry = catalog_entry_for(proto, sha256=artifact.sha256)
    stored = stored_layers(proto)
    return Inspection(
        model=artifact,
        format=kind,
        catalog=entry.name if entry is not None else None,
        ops=op_counts(path),
        arithmetic=arithmetic_of(proto),
        facts={key.removeprefix(PREFIX): value for key, value in read_facts(proto).items()},
        stored=stored,
        opening=_opened(artifact) if stored else None,
    )


def _opened(model: ModelArtifact) -> Resources:
    """Return what opening a model costs, measured in a separate process."""
    given = model.contract.input
    shape = tuple(size if isinstance(size, int) else 1 for size in given.shape)
    plan = Plan(models={"model": model.path}, baseline=None, control=False)
    (resources,) = measure_resources(plan, {"model": np.zeros(shape, given.dtype)}, repeats=1, runs=1)
    return resources


def inspection_text(inspection: Inspection) -> str:
    """Return an inspection for a terminal."""
    model, contract = inspection.model, inspection.model.contract
    arithmetic = inspection.arithmetic
    known = {
        "file": f"{model.path} ({megabytes(model.bytes)})",
        "sha256": model.sha256,
        "graph": model.graph_sha256,
        "format": _FORMATS.get(inspection.format, inspection.format),
        "opset": str(model.opset),
        "catalog": inspection.catalog or NOTHING,
        "input": f"{contract.input.name} {contract.input.dtype}{list(contract.input.shape)} {contract.input_layout}",
        "output": f"{contract.output.name} {contract.output.dtype}{list(contract.output.shape)}",
        "multiply-adds": f"{arithmetic.total:,}, {percent(arithmetic.share, 1)} of them in int8"
        if arithmetic.total
        else "not known: no shape of a product is",
    }
    if inspection.opening is not None:
        known["weights"] = f"{len(inspection.stored):,} layers {STORED}; opening it takes {opening(inspection.opening)}"
    lines = [f"{name + ':':<15}{one_line(text)}" for name, text in known.items()]
    lines += ["", drawn(Table("Operators", ("op", "nodes"), tuple((op, str(n)) for op, n in inspection.ops.items())))]
    if not inspection.facts:
        return "\n".join([*lines, "", "It carries no facts of a run: it was not written by this tool."])
    lines += ["", "What it says of itself"]
    return "\n".join(
        [*lines, *(f"  {one_line(name) + ':':<28} {one_line(text)}" for name, text in inspection.facts.items())]
    )


def zoo_text(catalog: Catalog) -> str:
    """Return the catalog as a table, with notes on models that can be obtained in one way only."""
    table = Table(
        "Models",
        ("name", "opset", "MB", "preset", "top-1/5", "had by"),
        tuple(_row(entry) for entry in catalog),
        (
            f"Licences: {_licences(catalog)}.",
            "Accuracy as published, in percent, on the 50,000 images of ILSVRC2012 validation.",
            "download: from its address, or a mirror (QUANTIZE_MIRROR). rebuild: from weights published elsewhere, the "
            "same to the last digits. either: the one where the other fails.",
            *(f"{entry.name}: {entry.unavailable}." for entry in catalog if entry.unavailable),
        ),
    )
    return drawn(table)


def zoo_json(catalog: Catalog) -> str:
    """Return the catalog as JSON."""
    return json.dumps([entry.model_dump(mode="json") for entry in catalog], indent=1)


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    published = entry.published
    had = [name for name, can in (("download", entry.addresses), ("rebuild", entry.rebuilt_by)) if can]
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
