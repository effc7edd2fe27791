"""Is the set-up right, before any tuning? All checks of a model, its images, labels and preprocessing."""

from __future__ import annotations

import tempfile
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from onnx import ModelProto

from quantize.config.run_config import RunConfig
from quantize.data.cache_folder import user_cache
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.data.split import Split, read_calibration_list, split
from quantize.doctor.calibration import examine_calibration
from quantize.doctor.cpu import examine_cpu, examine_saturation, with_rounded_weights
from quantize.doctor.findings import DoctorReport, Examination, not_checked
from quantize.doctor.graph import examine_batch, examine_format, examine_operators, examine_scores, examine_weights
from quantize.doctor.labels import examine_labels, label_orders
from quantize.doctor.preprocessing import examine_preprocessing, variants
from quantize.doctor.published import examine_published
from quantize.doctor.saturation import saturation
from quantize.doctor.trials import Comparison, Predictions, Trials
from quantize.errors import ConfigError
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.models.prepare import prepare
from quantize.models.reading import read_model
from quantize.prediction.preprocessing import model_preprocessing
from quantize.processes.pool import available_cpus
from quantize.progress import Progress, silent
from quantize.report.provenance import MachineSection
from quantize.run.preflight import machine_section
from quantize.run.resolve import with_target

__all__ = ["DoctorReport", "DoctorRequest", "doctor"]

_CALIBRATION_IMAGES = 8


@dataclass(frozen=True)
class DoctorRequest:
    """A set-up to be examined.

    Attributes:
        model: The fp32 model.
        config: All settings, resolved: data, preprocessing, calibration, target.
        images: How many images to try, spread over the data.
        workers: Processes that decode images; None: one a core.
        threads: Threads of the session; None: as many as CPUs.
        known: What was tried before, for callers that examine several set-ups.
    """

    model: Path
    config: RunConfig
    images: int = 300
    workers: int | None = None
    threads: int | None = None
    known: MutableMapping[tuple[str, str, str], Predictions] | None = None


def doctor(request: DoctorRequest, *, progress: Progress = silent) -> DoctorReport:
    """Examine a model, its images, labels and preprocessing, and return what is wrong.

    Raises:
        QuantizeError: Something is missing, or cannot be read at all.
    """
    request = replace(request, config=with_target(request.config))
    data = request.config.data
    if data.path is None:
        raise ConfigError(
            "no images are named", where="--data_path", expected="a folder or archive of images", advice="name it"
        )
    proto = read_model(request.model)
    examinations = [examine_weights(proto), examine_format(proto)]
    if any(examination.findings for examination in examinations):
        # Neither can be run as it is; everything else would follow from that.
        return _report(request, data.path, 0, examinations)
    with tempfile.TemporaryDirectory(prefix="quantize-doctor-") as scratch:
        model = prepare(request.model, Path(scratch) / "fp32.onnx")
        clean = model.proto()
        examinations += [examine_scores(clean, model.contract), examine_batch(model.contract), examine_operators(clean)]
        examinations.append(examine_cpu(_machine(request, model)))
        images = open_images(data.path, data.labels, classes=None, progress=progress)
        parts = _split(request, images)
        examinations.append(
            examine_calibration(
                images,
                parts.calibration,
                (*parts.evaluation, *parts.certification),
                asked_for=request.config.quantization.calibration.in_evaluation,
            )
        )
        asked, _ = model_preprocessing(ModelArtifact.load(request.model), request.config.preprocessing)
        rows = _spread(len(images), request.images)
        trials = _trials(request, model, images.subset(rows), progress)
        examinations += _examine_answers(proto, model, images, rows, asked, trials)
        few = images.subset(parts.calibration[:_CALIBRATION_IMAGES])
        examinations.append(_examine_saturation(request, clean, asked, few, trials, Path(scratch)))
    return _report(request, data.path, len(rows), examinations)


def _machine(request: DoctorRequest, model: ModelArtifact) -> MachineSection:
    config = request.config
    threads = config.evaluation.performance.configs.cores_per_instance
    return machine_section(request.model.stem, model, threads, config.quantization.cpus)


def _examine_answers(
    proto: ModelProto, model: ModelArtifact, images: ImageSet, rows: range, asked: Preprocessing, trials: Trials
) -> list[Examination]:
    if not images.labelled:
        return [not_checked(name, "the images have no labels") for name in ("labels", "preprocessing")]
    labels = np.array([record.label for record in images.records], dtype=np.int64)
    comparison = Comparison(
        asked=asked,
        base=trials.under(asked),
        variants=[(other, trials.under(other.preprocessing)) for other in variants(asked, model.contract.image_size)],
        orders={
            order.name: order.read(labels)[rows.start : rows.stop : rows.step]
            for order in label_orders(model.contract.classes)
        },
        entry=catalog_entry_for(proto),
    )
    checks = [examine_labels(comparison), examine_preprocessing(comparison)]
    explained = any(check.findings for check in checks)
    return [*checks, not_checked("published accuracy", "see above") if explained else examine_published(comparison)]


def _examine_saturation(
    request: DoctorRequest,
    clean: ModelProto,
    asked: Preprocessing,
    few: ImageSet,
    trials: Trials,
    scratch: Path,
) -> Examination:
    crops = crop_images(few, asked, trials.cache, workers=1)
    layers = saturation(clean, asked.normalize(crops.array[0 : len(crops)]))
    base = trials.under(asked)

    def agreement(bits: int) -> float:
        rounded = save_model(with_rounded_weights(clean, bits), scratch / f"weights{bits}.onnx")
        other = Trials(rounded, trials.images, trials.cache, trials.threads, trials.workers).under(asked)
        return float(other.right(base.top1).mean())

    return examine_saturation(layers, request.config.quantization, agreement)


def _trials(request: DoctorRequest, model: ModelArtifact, images: ImageSet, progress: Progress) -> Trials:
    return Trials(
        model,
        images,
        user_cache() / "crops",
        threads=request.threads or available_cpus(),
        workers=request.workers,
        progress=progress,
        known={} if request.known is None else request.known,
    )


def _split(request: DoctorRequest, images: ImageSet) -> Split:
    settings = request.config.quantization.calibration
    ids = [record.id for record in images.records]
    named = request.config.data.calibration_list
    return split(
        ids,
        calibration_size=settings.sampling_size,
        in_evaluation=settings.in_evaluation,
        certification_share=0.0,
        seed=request.config.tuning.random_seed,
        calibration_ids=None if named is None else read_calibration_list(named, ids),
    )


def _spread(total: int, wanted: int) -> range:
    return range(0, total, max(1, -(-total // wanted)))


def _report(request: DoctorRequest, data: Path, images: int, examinations: list[Examination]) -> DoctorReport:
    findings = [finding for examination in examinations for finding in examination.findings]
    return DoctorReport(
        model=str(request.model),
        data=str(data),
        images=images,
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "problem")),
        checks=tuple(examination.check for examination in examinations),
    )
