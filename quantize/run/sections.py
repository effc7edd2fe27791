"""From what was found to the parts of the report."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from quantize.graph.identity import weights_sha256
from quantize.measurement.machine.cpu import isa_flags
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry
from quantize.provenance import fingerprint, git_state, versions
from quantize.report.data import DataSection, PreprocessingSection, SkippedImage
from quantize.report.integer_share import arithmetic_of
from quantize.report.models import AccuracySection, ModelSection, Role, SourceSection
from quantize.report.provenance import Provenance, Tool
from quantize.run.export import op_counts
from quantize.run.images import Images
from quantize.run.published import published_figures
from quantize.run.request import RunRequest

_PACKAGE = Path(__file__).resolve().parent


def source_section(path: Path, artifact: ModelArtifact, entry: CatalogEntry | None) -> SourceSection:
    """Return what the report says of the model that the user gave."""
    return SourceSection(
        path=str(path),
        sha256=artifact.sha256,
        weights_sha256=weights_sha256(artifact.proto()),
        opset=artifact.opset,
        catalog=entry.name if entry is not None else None,
        published=published_figures(entry),
    )


def model_section(
    role: Role,
    artifact: ModelArtifact,
    run: Path,
    selection: AccuracySection,
    certification: AccuracySection | None,
) -> ModelSection:
    """Return what the report says of one model file."""
    arithmetic = arithmetic_of(artifact.proto())
    return ModelSection(
        role=role,
        file=os.path.relpath(artifact.path, run),
        sha256=artifact.sha256,
        graph_sha256=artifact.graph_sha256,
        bytes=artifact.bytes,
        opset=artifact.opset,
        ops=op_counts(artifact.path),
        multiply_adds=arithmetic.total or None,
        integer_share=arithmetic.share,
        selection=selection,
        certification=certification,
    )


def data_section(images: Images, request: RunRequest) -> DataSection:
    """Return which images were used for what."""
    parts = images.split
    return DataSection(
        path=str(request.data),
        labels=str(request.labels) if request.labels is not None else None,
        labelled=images.crops.labels is not None,
        images=len(images.listed),
        calibration=len(parts.calibration),
        evaluation=len(parts.evaluation),
        certification=len(parts.certification),
        calibration_in_evaluation=request.config.quantization.calibration.in_evaluation,
        skipped=tuple(SkippedImage(id=image.id, reason=image.reason) for image in images.crops.skipped),
        demonstration=request.demonstration,
        notes=images.listed.notes,
    )


def preprocessing_section(images: Images) -> PreprocessingSection:
    """Return how an image becomes the model's input."""
    return PreprocessingSection.model_validate(images.preprocessing.model_dump())


def provenance(request: RunRequest, images: Images) -> Provenance:
    """Return the hashes and versions that decide the outcome."""
    state = git_state(_PACKAGE)
    return Provenance(
        tool=Tool(
            version=metadata.version("quantize"),
            git_commit=state[0] if state else None,
            git_dirty=state[1] if state else None,
        ),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=request.command,
        config_fingerprint=fingerprint(request.config.model_dump(mode="json")),
        data_fingerprint=images.crops.fingerprint,
        preprocessing_fingerprint=images.preprocessing.fingerprint,
        calibration_fingerprint=images.calibration.fingerprint,
        versions=versions(),
        isa=tuple(isa_flags() or ()),
        cpu_class=this_cpu_class(),
    )
