"""Check a setup before tuning: the model, its images, labels and preprocessing."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.cache_folder import user_cache
from quantize.config.run_config import RunConfig
from quantize.data.batches import Batch
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.data.split import Split, read_calibration_list, split
from quantize.engines.engine import engine_named, engines_for
from quantize.engines.task import BuildTask, CalibrationSet
from quantize.errors import ConfigError
from quantize.examination.answers import examine_answers
from quantize.examination.calibration import examine_calibration
from quantize.examination.cpu import examine_cpu, examine_saturation, with_rounded_weights
from quantize.examination.findings import DoctorReport, Examination, not_checked
from quantize.examination.graph import examine_batch, examine_format, examine_scores
from quantize.examination.labels import examine_labels, label_orders
from quantize.examination.operators import examine_engine
from quantize.examination.preprocessing import examine_preprocessing, variants
from quantize.examination.published import examine_published
from quantize.examination.saturation import saturation
from quantize.examination.trials import Comparison, Predictions, Trials
from quantize.examination.weights import examine_weights, is_damaged
from quantize.files import scratch_folder
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.models.prepare import prepare
from quantize.models.reading import read_model
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.prediction.preprocessing import model_preprocessing
from quantize.processes.pool import available_cpus
from quantize.progress import Progress, silent
from quantize.rewrites import select_rewrites
from quantize.run.measuring import machine_section
from quantize.run.resolve import with_target
from quantize.run.taken import taken_form, taken_model

_CALIBRATION_IMAGES = 8


def doctor(
    model: Path,
    config: RunConfig,
    *,
    tried: int = 300,
    workers: int | None = None,
    threads: int | None = None,
    known: MutableMapping[tuple[str, str, str], Predictions] | None = None,
    progress: Progress = silent,
) -> DoctorReport:
    """Examine a model, its images, labels and preprocessing, and return what is wrong.

    Args:
        model: The fp32 model.
        config: All settings, resolved: data, preprocessing, calibration, target.
        tried: How many images the model is run on, spread over the data.
        workers: Processes that decode images; None: one a core.
        threads: Threads of the session; None: as many as CPUs.
        known: Predictions of earlier trials, for callers that examine several set-ups.
        progress: Called while images are read.

    Raises:
        QuantizeError: Something is missing, or cannot be read at all.
    """
    config = with_target(config)
    data = config.data
    if data.path is None:
        raise ConfigError(
            "no images are named", where="--data_path", expected="a folder or archive of images", advice="name it"
        )
    engines, asked_for = engines_for(config.tuning.engine), config.model
    prove(
        model,
        Bounds.of(asked_for),
        score_output=asked_for.score_output,
        prepares=True,
        form=partial(taken_form, where=str(model), requantize=asked_for.requantize, engines=engines),
    )
    proto = read_model(model)
    examinations = [
        examine_weights(proto),
        examine_format(
            proto,
            str(model),
            score_output=asked_for.score_output,
            requantize=asked_for.requantize,
            engines=engines,
        ),
    ]
    if is_damaged(examinations[0]) or examinations[1].findings:
        # Neither can be run as it is; everything else would follow from that.
        return _report(model, data.path, 0, examinations)
    taken = taken_model(proto, where=str(model), requantize=asked_for.requantize, engines=engines)
    with scratch_folder("doctor") as scratch:
        prepared = prepare(
            model, scratch / "fp32.onnx", opset=13, score_output=asked_for.score_output, model=taken.model
        )
        clean, contract = prepared.proto(), prepared.contract
        examinations += [examine_scores(clean, contract), examine_batch(contract)]
        cores = config.evaluation.performance.configs.cores_per_instance
        examinations.append(examine_cpu(machine_section(model.stem, prepared, cores, config.quantization.cpus)))
        of_labels = contract.task == "labels"
        images = open_images(
            data.path,
            data.labels,
            classes=contract.classes if of_labels else None,
            several=contract.may_have_several_labels,
            progress=progress,
        )
        parts = _split(config, images)
        examinations.append(
            examine_calibration(
                images,
                parts.calibration,
                (*parts.evaluation, *parts.certification),
                asked_for=config.quantization.calibration.in_evaluation,
            )
        )
        source = ModelArtifact.load(model, score_output=config.model.score_output)
        asked, _ = model_preprocessing(source, config.preprocessing)
        rows = range(0, len(images), max(1, -(-len(images) // tried)))
        trials = Trials(
            prepared,
            images.subset(rows),
            user_cache() / "crops",
            threads=threads or available_cpus(),
            workers=workers,
            progress=progress,
            known={} if known is None else known,
        )
        examinations += _examine_answers(proto, prepared, images, rows, asked, trials)
        few = images.subset(parts.calibration[:_CALIBRATION_IMAGES])
        inputs = _inputs(few, asked, trials.cache)
        ids = tuple(record.id for record in few.records)
        task = BuildTask(
            model=prepared,
            calibration=CalibrationSet([Batch(ids, inputs, None)], len(inputs), "doctor"),
            framework=config.model.framework,
            quantization=config.quantization,
            tuning=config.tuning,
            rewrites=tuple(one.name for one in select_rewrites(config.rewrites) if not one.for_matrix_units),
            folder=scratch,
            threads=threads or available_cpus(),
        )
        for name in engines:
            examinations += examine_engine(engine_named(name), task, alone=len(engines) == 1)
        layers = saturation(clean, inputs)
        examinations.append(
            examine_saturation(layers, config.quantization, partial(_agreement, clean, asked, trials, scratch))
        )
    return _report(model, data.path, len(rows), examinations)


def _inputs(images: ImageSet, preprocessing: Preprocessing, cache: Path) -> NDArray[np.float32]:
    """Return float32 (N, 3, H, W)."""
    crops = crop_images(images, preprocessing, cache, workers=1)
    return preprocessing.normalize(crops.array[0 : len(crops)])


def _agreement(clean: ModelProto, asked: Preprocessing, trials: Trials, scratch: Path, bits: int) -> float:
    """Return the share of images on which the model with weights of so many bits has the top-1 of the model itself."""
    rounded = save_model(with_rounded_weights(clean, bits), scratch / f"weights{bits}.onnx")
    other = Trials(rounded, trials.images, trials.cache, trials.threads, trials.workers).under(asked)
    return float(other.right(trials.under(asked).top1).mean())


def _examine_answers(
    proto: ModelProto, model: ModelArtifact, images: ImageSet, rows: range, asked: Preprocessing, trials: Trials
) -> list[Examination]:
    answers = examine_answers(trials.under(asked))
    why = "see above" if answers.findings else None if images.labelled else "the images have no labels"
    if why is None and (images.label_count is not None or model.contract.task == "labels"):
        why = "an image may have several labels"
    if why is not None:
        return [answers, *(not_checked(name, why) for name in ("labels", "preprocessing"))]
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
    published = not_checked("published accuracy", "see above") if explained else examine_published(comparison)
    return [answers, *checks, published]


def _split(config: RunConfig, images: ImageSet) -> Split:
    settings, named = config.quantization.calibration, config.data.calibration_list
    ids = [record.id for record in images.records]
    return split(
        ids,
        calibration_size=settings.sampling_size,
        in_evaluation=settings.in_evaluation,
        certification_share=0.0,
        seed=config.tuning.random_seed,
        calibration_ids=None if named is None else read_calibration_list(named, ids),
    )


def _report(model: Path, data: Path, images: int, examinations: list[Examination]) -> DoctorReport:
    findings = [finding for examination in examinations for finding in examination.findings]
    return DoctorReport(
        model=str(model),
        data=str(data),
        images=images,
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "problem")),
        checks=tuple(examination.check for examination in examinations),
    )
