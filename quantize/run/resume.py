"""Resume a run: its request is in the header of its journal, and recorded steps are not computed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from quantize.errors import RunError
from quantize.files import remove_if_empty, write_text
from quantize.journal import Journal
from quantize.provenance import fingerprint, sha256_file
from quantize.report.storage import read_report
from quantize.run.context import Prepared
from quantize.run.folder import JOURNAL, RunFolder
from quantize.run.recorded_request import place_now, read_request, request_record
from quantize.run.request import TuneRequest
from quantize.run.resolve import with_recorded_target
from quantize.run.resumed_settings import deciding, refuse_other_settings


def resumed_request(request: TuneRequest) -> TuneRequest:
    """Return the request of a resumed run, with its recorded settings; ``resume`` then names its folder.

    A request that begins a run is returned as it is.

    Raises:
        ConfigError: The run is for other CPUs than requested.
        RunError: The folder holds no run, one that another version began, or one of other settings.
    """
    if request.resume is None:
        return request
    folder = request.resume.parent if request.resume.name == "report.json" else request.resume
    try:
        recorded = read_request(folder)
    except (OSError, ValidationError) as error:
        raise RunError(
            "there is no run here that can be continued",
            where=str(folder),
            found=f"{JOURNAL}: {error}",
            expected="the folder of a run that was interrupted after its first step",
            advice="start the run again, with --overwrite if it left something behind",
        ) from None

    config = with_recorded_target(request.config, recorded.target, run=str(folder))
    if recorded.replay is None:  # a repetition's settings are made of its report's
        refuse_other_settings(folder, config)
    return replace(
        recorded.with_inputs(replace(request, config=config), folder),
        output_model=folder.with_suffix(".onnx") if recorded.output_is_file and folder.suffix == ".run" else folder,
        criterion=recorded.criterion,
        skip_unreadable=recorded.skip_unreadable,
        resume=folder,
        replay=place_now(recorded.replay, folder, request.replay),
        latency_table=place_now(recorded.latency_table, folder, request.latency_table),
        remove_crops=request.remove_crops or recorded.remove_crops,
        begun=recorded.command,
    )


def open_journal(context: Prepared) -> Journal:
    """Open the run's journal and take away what an earlier run left, now that this one will replace or continue it.

    Raises:
        RunError: The journal of the resumed run is of another configuration, or damaged.
    """
    folder, request = context.folder, context.request
    outputs = (
        folder.report,  # first: a folder with a report is a whole run
        folder.path / "flips.csv",
        folder.markdown,
        folder.html,
        *folder.models,
        *folder.models_of_engines,
    )
    if not request.resume:
        earlier = [path for path in _models_of_an_earlier_run(folder) if not path.samefile(request.model)]
        _remove(*outputs, *earlier, folder.journal)
        for place in {path.parent for path in earlier} - {folder.path}:
            remove_if_empty(place)  # an engine's own folder
        write_text(folder.config, context.config.to_yaml())  # before the journal, with which a run can be resumed
    journal = Journal(
        folder.journal, _inputs(context), resume=request.resume, request=request_record(request, folder.path)
    )
    if request.resume:  # changed only after its journal was found to be of these settings
        _remove(*outputs)
        write_text(folder.config, context.config.to_yaml())
    return journal


def _inputs(context: Prepared) -> Mapping[str, Any]:
    """Return what every step depends on: contents, and no paths, so that a run may be moved."""
    images = context.images
    return {
        "settings": fingerprint(deciding(context.config)),
        "criterion": context.request.criterion,
        "model": context.model.graph_sha256,
        "data": images.crops.fingerprint,
        "calibration": images.calibration.fingerprint,
        "preprocessing": images.preprocessing.fingerprint,
        "latencies": "measured" if context.request.latency_table is None else "recorded",
    }


def _models_of_an_earlier_run(folder: RunFolder) -> list[Path]:
    """Return the models that the run in this folder wrote, whatever their names, as long as nobody has changed them.

    A report of a stranger's may name any file: only those that lie where a run writes its models are taken for its own.
    """
    try:
        report = read_report(folder.report)
    except RunError:  # no report, or none that can be read: nothing says which files are that run's
        return []
    written = [*report.models, *(model for engine in report.engines if not engine.written for model in engine.models)]
    if report.input_contract is not None:
        written.append(report.baseline)
    paths = [(folder.path / model.file, model.sha256) for model in written]
    own = [(path, sha256) for path, sha256 in paths if _is_place_of_models(path, folder) and path.is_file()]
    return [path for path, sha256 in own if sha256_file(path) == sha256]


def _is_place_of_models(path: Path, folder: RunFolder) -> bool:
    """Return whether a run in this folder can have written a model there: in it or an engine's folder, or beside it."""
    run, place = folder.path.resolve(), path.parent.resolve()
    return path.suffix == ".onnx" and (run in (place, place.parent) or place == folder.int8.parent.resolve())


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
