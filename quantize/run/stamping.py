"""The run's facts, written into its models after they were judged and measured."""

from __future__ import annotations

from dataclasses import replace

from quantize.models.artifact import ModelArtifact, save_model
from quantize.report.metadata import facts, stamped
from quantize.report.models import ModelSection
from quantize.report.schema import RunReport
from quantize.run.folder import RunFolder


def stamp_models(report: RunReport, run: RunFolder) -> RunReport:
    """Write each model's facts into its file, and return the report with the files' new hashes and sizes.

    Raises:
        RuntimeError: Writing changed more than the metadata, which is a bug.
    """
    models = tuple(_stamp(report, section, run) for section in report.models)
    baseline = report.baseline if run.fp32 is None else _stamp(report, report.baseline, run)
    return report.model_copy(update={"models": models, "baseline": baseline})


def stamp_all(report: RunReport, folder: RunFolder) -> RunReport:
    """Write the facts into the models of the run and into the other engines'."""
    stamped = stamp_models(report, folder)
    engines = []
    for engine in report.engines:
        if engine.written:
            models = stamped.models
        else:
            models = stamp_models(report.of_engine(engine), replace(folder, fp32=None)).models
        engines.append(engine.model_copy(update={"models": models}))
    return stamped.model_copy(update={"engines": tuple(engines)})


def _stamp(report: RunReport, section: ModelSection, run: RunFolder) -> ModelSection:
    path = run.path / section.file
    written = save_model(stamped(ModelArtifact.load(path).proto(), facts(report, section.role)), path)
    if written.graph_sha256 != section.graph_sha256:
        raise RuntimeError(f"{path}: the graph changed while its metadata were written")
    return section.model_copy(update={"sha256": written.sha256, "bytes": written.bytes})
