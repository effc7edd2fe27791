"""What a run does, decided once: by the caller, the report that is repeated, the configuration or a default."""

from __future__ import annotations

from pathlib import Path

from quantize.config.run_config import RunConfig
from quantize.data.cache_folder import user_cache
from quantize.data.demonstration import demonstration_data
from quantize.errors import ConfigError
from quantize.models.download.fetch import fetch
from quantize.progress import Progress
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.run.folder import demonstration_folder, find_run
from quantize.run.replay import replay_settings
from quantize.run.request import RunRequest, TuneRequest
from quantize.run.target import with_target

DEMONSTRATION_MODEL = "squeezenet1.0-12"


def resolve(request: TuneRequest, progress: Progress) -> RunRequest:
    """Return what a run does, with every path and setting decided; what the demonstration needs is fetched.

    What the caller names wins; a repetition takes what is not named from its report: the model, the images and the
    criterion.

    Raises:
        ConfigError: A model without images, or a report that is for other CPUs than those asked for.
        DataError: The demonstration's photographs cannot be fetched.
        ModelError: The demonstration's model cannot be fetched.
        RunError: The report that shall be repeated is not there or of another version.
    """
    recorded = _recorded(request)
    config = request.config if recorded is None else replay_settings(request.config, recorded, str(request.replay))
    data, labels, calibration_list = _images(request, config, progress)
    model = request.input_model
    if model is None:
        model = Path(recorded.source.path) if recorded else fetch(DEMONSTRATION_MODEL, progress=progress).path
    demonstration = request.data_path is None and config.data.path is None
    return RunRequest(
        config=with_target(config),
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
        pair_seconds=request.pair_seconds,
        command=request.command,
    )


def _recorded(request: TuneRequest) -> RunReport | None:
    place = request.replay
    if place is None:
        return None
    return read_report(find_run(place) / "report.json" if place.is_dir() else place)


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
            advice="say --data_path FOLDER --label_path FILE; without any argument, the demonstration runs",
        )
    packaged = demonstration_data(user_cache(), progress=progress)
    return packaged.data_path, packaged.label_path, packaged.calibration_list


def _output(request: TuneRequest, model: Path, *, demonstration: bool) -> Path:
    if request.output_model is not None:
        return request.output_model
    if request.replay is not None:
        return request.runs_dir / f"{model.stem}-replay"
    return demonstration_folder(request.runs_dir) if demonstration else request.runs_dir / model.stem
