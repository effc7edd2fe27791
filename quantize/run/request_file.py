"""What a run was asked, kept in its folder so that ``--resume`` needs nothing but the folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from quantize.errors import RunError
from quantize.files import write_text
from quantize.run.paths import Asked
from quantize.run.request import TuneRequest
from quantize.run.target import with_recorded_target
from quantize.target import CPU_CLASSES

_FILE = "request.json"
_VERSION = 3
"""Earlier versions do not say for which CPUs the run is, and their trials were judged by other rules."""


def write_request(asked: Asked, work: Path) -> None:
    """Write what the run was asked: the model, the place, the target, what is skipped, judged, repeated, recorded."""
    request = asked.request
    content = {
        "version": _VERSION,
        "input_model": str(asked.model.absolute()),
        "output_model": str(asked.output.absolute()),
        "target": request.config.quantization.target,
        "criterion": request.criterion,
        "skip_unreadable": request.skip_unreadable,
        "demonstration": asked.demonstration_data,
        "data_path": None if asked.demonstration_data else _absolute(asked.data),
        "label_path": None if asked.demonstration_data else _absolute(asked.labels),
        "replay": _absolute(request.replay),
        "latency_table": _absolute(request.latency_table),
        "remove_crops": request.remove_crops,
    }
    write_text(work / _FILE, json.dumps(content, indent=1) + "\n")


def resumed(request: TuneRequest) -> TuneRequest:
    """Return the request of a run that is continued, with what the run was asked; ``resume`` names its folder then.

    Raises:
        ConfigError: The run is for other CPUs than what is asked for.
        RunError: The folder holds no run, or one that another version began.
    """
    if request.resume is None:
        return request
    folder = request.resume.parent if request.resume.name == "report.json" else request.resume
    path = folder / "work" / _FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] < _VERSION:
            raise _begun_before(folder)
        if content["version"] != _VERSION or content["target"] not in CPU_CLASSES:
            raise ValueError(f"version {content['version']}, target {content.get('target')}")
        return replace(
            request,
            config=with_recorded_target(request.config, content["target"], run=str(folder)),
            input_model=None if content["demonstration"] else Path(content["input_model"]),
            output_model=Path(content["output_model"]),
            criterion=content["criterion"],
            skip_unreadable=content["skip_unreadable"],
            resume=folder,
            data_path=request.data_path or _path(content.get("data_path")),
            label_path=request.label_path or _path(content.get("label_path")),
            replay=request.replay or _path(content.get("replay")),
            latency_table=request.latency_table or _path(content.get("latency_table")),
            remove_crops=request.remove_crops or bool(content.get("remove_crops")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            "there is no run here that can be continued",
            where=str(folder),
            found=f"{path.name}: {error}",
            expected="the folder of an interrupted run, with its work folder",
            advice="start the run again, with --overwrite if it left something behind",
        ) from None


def _begun_before(folder: Path) -> RunError:
    return RunError(
        "an earlier version of quantize began this run",
        where=str(folder),
        expected="a run of this version: its trials are judged by other rules, and it names the CPUs that it is for",
        advice="start it again with --overwrite (--target vnni is what it was for, unless it named another), or "
        "continue it with the version that began it",
    )


def _absolute(place: Path | None) -> str | None:
    return None if place is None else str(place.absolute())


def _path(recorded: str | None) -> Path | None:
    return None if recorded is None else Path(recorded)
