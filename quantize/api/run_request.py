"""What a run was asked, kept in its folder so that ``--resume`` needs nothing but the folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from quantize.api.asked import Asked
from quantize.api.request import TuneRequest
from quantize.errors import RunError
from quantize.files import write_text

_FILE = "request.json"
_VERSION = 2
_READ = (1, _VERSION)
"""Version 1 says nothing of the images' place, a replay, recorded latencies and the removal of crops."""


def write_request(asked: Asked, work: Path) -> None:
    """Write what is not in the configuration: the model, the place, what is skipped, judged, repeated and recorded."""
    request = asked.request
    content = {
        "version": _VERSION,
        "input_model": str(asked.model.absolute()),
        "output_model": str(asked.output.absolute()),
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
        RunError: The folder holds no run, or one that another version began.
    """
    if request.resume is None:
        return request
    folder = request.resume.parent if request.resume.name == "report.json" else request.resume
    path = folder / "work" / _FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] not in _READ:
            raise ValueError(f"version {content['version']}")
        return replace(
            request,
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


def _absolute(place: Path | None) -> str | None:
    return None if place is None else str(place.absolute())


def _path(recorded: str | None) -> Path | None:
    return None if recorded is None else Path(recorded)
