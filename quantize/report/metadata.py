"""The run's facts in a written model, as ``metadata_props`` of the ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from onnx import ModelProto

if TYPE_CHECKING:
    from quantize.report.schema import RunReport

PREFIX = "quantize."
"""All keys that this tool writes begin with it; others are left alone."""

MARKS = f"{PREFIX}calibration_marks"
"""The key of the marks (``Crops.marks``) of the images that calibrated a model."""


def facts(report: RunReport, role: str) -> dict[str, str]:
    """Return what one of a run's models is to say of itself, key to text; absent figures are left out.

    Fractions and nanoseconds are written as in the report.

    Raises:
        KeyError: There is no model of this role.
    """
    section, origin = report.model(role), report.provenance
    evaluation = section.deciding.evaluation
    values: dict[str, object | None] = {
        "tool": f"{origin.tool.name} {origin.tool.version}",
        "role": role,
        "graph_sha256": section.graph_sha256,
        "recipe_id": report.chosen.recipe_id,
        "engine": report.chosen.recipe.engine,
        "source_sha256": report.source.sha256,
        "source_weights_sha256": report.source.weights_sha256,
        "source": report.source.catalog,
        "calibration_fingerprint": origin.calibration_fingerprint,
        MARKS.removeprefix(PREFIX): ",".join(origin.calibration_marks) or None if role != "fp32" else None,
        "data_fingerprint": origin.data_fingerprint,
        "preprocessing_fingerprint": origin.preprocessing_fingerprint,
        "preprocessing": report.preprocessing.model_dump_json(),
        "input_contract": report.input_contract.contract if report.input_contract is not None else None,
        "images": evaluation.n,
        "task": evaluation.task if evaluation.task != "one class" else None,
        "mean_average_precision": precision.expected if (precision := evaluation.mean_average_precision) else None,
        "top1": evaluation.top1.expected if evaluation.top1 else None,
        "top5": evaluation.top5.expected if evaluation.top5 else None,
        "agreement": evaluation.fidelity.agreement if evaluation.fidelity else None,
        "verdict": report.verdict.status,
        "rough": "quick" if report.rough is not None else None,
        "no_integers": " ".join(report.no_integers) or None if role != "fp32" else None,
        "onnxruntime": origin.versions.get("onnxruntime"),
    }
    return {f"{PREFIX}{name}": str(value) for name, value in values.items() if value is not None}


def read_facts(model: ModelProto) -> dict[str, str]:
    """Return what this tool wrote into a model, key (with its prefix) to text; empty for other models."""
    return {entry.key: entry.value for entry in model.metadata_props if entry.key.startswith(PREFIX)}


def recorded_image_size(model: ModelProto) -> tuple[int, int] | None:
    """Return the height and width of the images of the run that wrote a model; None for other models."""
    text = read_facts(model).get(f"{PREFIX}preprocessing")
    try:
        sizes = {} if text is None else json.loads(text)
        side = sizes.get("crop") or sizes.get("resize")
    except (ValueError, AttributeError):  # damaged
        return None
    return (side, side) if isinstance(side, int) and side > 0 else None


def calibration_marks(model: ModelProto) -> frozenset[str]:
    """Return the marks of the images that calibrated a model; none where it does not say them."""
    return frozenset(filter(None, read_facts(model).get(MARKS, "").split(",")))


def stamped(model: ModelProto, said: Mapping[str, str]) -> ModelProto:
    """Return a copy of a model whose metadata are the others' own and ``said``, in the order of the keys."""
    others = {entry.key: entry.value for entry in model.metadata_props if not entry.key.startswith(PREFIX)}
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.ClearField("metadata_props")
    for key, value in sorted({**others, **said}.items()):
        copy.metadata_props.add(key=key, value=value)
    return copy
