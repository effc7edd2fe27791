"""Resolve what a run does, once: from the caller, the repeated report, the configuration or defaults."""

from __future__ import annotations

from pathlib import Path

from quantize.cache_folder import user_cache
from quantize.config.run_config import PreprocessingBlock, RunConfig
from quantize.config.tuning import SpeedCriterionBlock
from quantize.data.demonstration import demonstration_data
from quantize.errors import ConfigError
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.download.fetch import fetch
from quantize.progress import Progress
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.run.folder import demonstration_folder, find_run
from quantize.run.quick import bounded, pair_seconds
from quantize.run.recorded_request import require_inputs, with_inputs_of
from quantize.run.request import RunRequest, TuneRequest
from quantize.target import CpuClass, computes_otherwise

DEMONSTRATION_MODEL = "squeezenet1.0-12"


def resolve(request: TuneRequest, progress: Progress) -> RunRequest:
    """Return what a run does, with every path and setting decided; what the demonstration needs is fetched.

    What the caller names wins; a repetition takes what is not named from its report: the model, the images and the
    criterion.

    Raises:
        ConfigError: A model without images, or a report that is for other CPUs than requested.
        DataError: The demonstration's photographs cannot be fetched.
        ModelError: The demonstration's model cannot be fetched.
        RunError: The report that shall be repeated is not there or of another version.
    """
    place = None if request.replay is None else _report(request.replay)
    recorded = None if place is None else read_report(place)
    if place is not None:
        request = with_inputs_of(place.parent, request)
    config = request.config if recorded is None else _replay_settings(request.config, recorded, str(request.replay))
    data, labels, calibration_list = _images(request, config, progress)
    model = request.input_model
    if model is None:
        model = Path(recorded.source.path) if recorded else fetch(DEMONSTRATION_MODEL, progress=progress).path
    demonstration = request.data_path is None and config.data.path is None
    resolved = RunRequest(
        config=bounded(with_target(config)),
        model=model,
        data=data,
        labels=labels,
        calibration_list=calibration_list,
        output=_output(request, model, demonstration=demonstration),
        demonstration=demonstration,
        overwrite=request.overwrite,
        resume=request.resume is not None,
        replay=request.replay,
        recorded=recorded,
        latency_table=request.latency_table,
        skip_unreadable=request.skip_unreadable,
        remove_crops=request.remove_crops,
        criterion="none" if recorded is not None and recorded.criterion.metric == "none" else request.criterion,
        workers=request.workers,
        pair_seconds=pair_seconds(config, request.pair_seconds),
        command=request.command,
        begun=request.begun,
    )
    if recorded is not None:
        require_inputs(resolved)
    return resolved


def _report(replay: Path) -> Path:
    return find_run(replay) / "report.json" if replay.is_dir() else replay


def _images(request: TuneRequest, config: RunConfig, progress: Progress) -> tuple[Path, Path | None, Path | None]:
    """Return the images, their labels and the list of calibration images."""
    settings = config.data
    data, labels = request.data_path or settings.path, request.label_path or settings.labels
    if data is not None:
        return data, labels, settings.calibration_list
    if request.input_model is not None:
        raise ConfigError(
            "no images are named",
            where="--data_path",
            expected="a folder of images (calibration needs them), or data.path in the configuration",
            advice="pass --data_path FOLDER --label_path FILE; without any argument, the demonstration runs",
        )
    packaged = demonstration_data(user_cache(), progress=progress)
    return packaged.data_path, packaged.label_path, packaged.calibration_list


def _output(request: TuneRequest, model: Path, *, demonstration: bool) -> Path:
    if request.output_model is not None:
        return request.output_model
    if request.replay is not None:
        return request.runs_dir / f"{model.stem}-replay"
    return demonstration_folder(request.runs_dir) if demonstration else request.runs_dir / model.stem


def _replay_settings(config: RunConfig, report: RunReport, run: str) -> RunConfig:
    """Return the settings of a repetition: the report's target and preprocessing, and its images where none are named.

    What the user names wins: a run moves to another machine, where its files lie elsewhere.

    Args:
        config: All requested settings.
        report: The report of the run that is repeated.
        run: Where the report lies, for the error.

    Raises:
        ConfigError: The requested target is not the report's.
    """
    config = with_recorded_preprocessing(with_recorded_target(config, report.chosen.target, run=run), report)
    if config.data.path is None:
        config = config.model_copy(update={"data": config.data.model_copy(update=_recorded_data(report))})
    if report.criterion.min_speedup is None and not config.tuning.speed_criterion.model_fields_set:
        config = _without_speed(config)
    return config


def _without_speed(config: RunConfig) -> RunConfig:
    """Return the settings without a criterion on speed: a run of an earlier version had none, and is repeated."""
    none = SpeedCriterionBlock(min_speedup=0.0)
    return config.model_copy(update={"tuning": config.tuning.model_copy(update={"speed_criterion": none})})


def with_recorded_preprocessing(config: RunConfig, report: RunReport) -> RunConfig:
    """Return the settings with a run's own preprocessing where none is named: the catalog may have learned another.

    The report of a run with an input contract tells how its written files are fed; then the settings stay as they are.
    """
    given = config.preprocessing.given()
    if "preset" in given or report.input_contract is not None:
        return config
    own = PreprocessingBlock.model_validate({**report.preprocessing.model_dump(), **given})
    return config.model_copy(update={"preprocessing": own})


def _recorded_data(report: RunReport) -> dict[str, Path | None]:
    if report.data.demonstration:
        packaged = demonstration_data(user_cache())
        return {
            "path": packaged.data_path,
            "labels": packaged.label_path,
            "calibration_list": packaged.calibration_list,
        }
    return {"path": Path(report.data.path), "labels": Path(report.data.labels) if report.data.labels else None}


def with_target(config: RunConfig) -> RunConfig:
    """Return the settings with the target as a class of CPUs: ``auto`` stands for this machine's.

    Raises:
        ConfigError: The environment names a class for this machine that there is not.
    """
    return _for(config, this_cpu_class()) if config.quantization.target == "auto" else config


def with_recorded_target(config: RunConfig, recorded: CpuClass, *, run: str) -> RunConfig:
    """Return the settings of a run that is resumed or repeated, with its own target.

    Args:
        config: All settings.
        recorded: The run's target.
        run: The run, for the error.

    Raises:
        ConfigError: Another target is requested: it decides what the models are made of.
    """
    asked = config.quantization.target
    if asked not in ("auto", recorded):
        raise ConfigError(
            "the run is for other CPUs",
            where="quantization.target",
            found=asked,
            expected=f"{recorded}, as in {run}",
            advice="leave --target out to repeat or continue that run, or tune anew for other CPUs",
        )
    return _for(config, recorded)


def target_of(config: RunConfig, recorded: CpuClass | None) -> CpuClass:
    """Return the CPUs that models to be measured are for: as asked, else as their run says, else this machine's.

    Args:
        config: All settings.
        recorded: The target of the run that wrote them; None if no run says so.
    """
    if recorded is not None and config.quantization.target == "auto":
        return recorded
    return with_target(config).quantization.cpus


def is_exact(target: CpuClass) -> bool:
    """Return whether accuracy is measured in exact sessions: this machine may compute otherwise than the target."""
    return computes_otherwise(this_cpu_class(), target)


def target_in_words(config: RunConfig) -> str:
    """Return which CPUs the models are for, and whether this machine is one of them, for the first lines of a run."""
    target, here = config.quantization.cpus, this_cpu_class()
    if target == here:
        return f"target: {target}, this machine's class of CPUs"
    return f"target: {target}; this machine's class of CPUs is {here}"


def _for(config: RunConfig, target: CpuClass) -> RunConfig:
    quantization = config.quantization.model_copy(update={"target": target})
    return config.model_copy(update={"quantization": quantization})
