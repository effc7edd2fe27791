"""What a repetition of a recorded run is asked to do, from its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from quantize.config.preprocessing import PreprocessingBlock
from quantize.config.run_config import RunConfig
from quantize.config.tuning import SpeedCriterionBlock
from quantize.data.cache_folder import user_cache
from quantize.data.demonstration import demonstration_data
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.run.folder import find_run
from quantize.run.request import TuneRequest
from quantize.run.target import with_recorded_target


def replayed_request(request: TuneRequest) -> tuple[TuneRequest, RunReport | None]:
    """Return a request with the model, images and criterion of the run that it repeats, and that run's report.

    What the user names wins: a run moves to another machine, where its files lie elsewhere. A request that repeats
    nothing is returned as it is.

    Raises:
        ConfigError: Another target is asked for than the report's.
        RunError: The report is missing or of another schema.
    """
    if request.replay is None:
        return request, None
    place = request.replay
    report = read_report(find_run(place) / "report.json" if place.is_dir() else place)
    config = with_recorded_target(request.config, report.chosen.target, run=str(place))
    config = with_recorded_preprocessing(config, report)
    if config.data.path is None:
        data = config.data.model_copy(update=_places(report))
        config = config.model_copy(update={"data": data})
    if report.criterion.min_speedup is None and not config.tuning.speed_criterion.model_fields_set:
        config = _without_speed(config)
    model = request.input_model or Path(report.source.path)
    changed = replace(
        request,
        config=config,
        input_model=model,
        output_model=request.output_model or request.runs_dir / f"{model.stem}-replay",
        criterion="none" if report.criterion.metric == "none" else request.criterion,
    )
    return changed, report


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


def _places(report: RunReport) -> dict[str, Path | None]:
    if report.data.demonstration:
        packaged = demonstration_data(user_cache())
        return {
            "path": packaged.data_path,
            "labels": packaged.label_path,
            "calibration_list": packaged.calibration_list,
        }
    return {"path": Path(report.data.path), "labels": Path(report.data.labels) if report.data.labels else None}
