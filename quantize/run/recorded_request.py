"""What a run was asked, as the header of its journal keeps it, and where its inputs lie now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.errors import RunError
from quantize.journal import recorded_request
from quantize.run.folder import JOURNAL
from quantize.run.request import RunRequest, TuneRequest
from quantize.target import CpuClass


class Place(BaseModel):
    """Where an input lay: as it was named, and how it is found again from the run's folder, or from anywhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    named: str | None
    relative: str
    absolute: str

    @classmethod
    def of(cls, path: Path, folder: Path, named: Path | None = None) -> Place:
        """Return the place of an input of the run in ``folder``; ``named``: how the settings name it."""
        absolute = path.absolute()
        return cls(
            named=None if named is None else str(named),
            relative=os.path.relpath(absolute, folder.absolute()),
            absolute=str(absolute),
        )

    def now(self, folder: Path) -> Path:
        """Return the input's place for a run that lies in ``folder`` now, moved with its inputs or alone.

        Where it is in neither place, a path that was named may fit the folder in which a command is run now.
        """
        relative, absolute = Path(os.path.normpath(folder.absolute() / self.relative)), Path(self.absolute)
        places = (relative, absolute, *([] if self.named is None else [Path(self.named)]))
        found = next((path for path in places if _is_there(path)), absolute)
        return Path(self.named) if self.named is not None and Path(self.named).absolute() == found else found


class RecordedRequest(BaseModel):
    """What was requested of a run. It names no place to write to: a run resumes in the folder of its journal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_model: Place | None
    data: Place | None
    labels: Place | None
    calibration_list: Place | None
    output_is_file: bool
    target: CpuClass
    criterion: Literal["accuracy", "none"]
    skip_unreadable: bool
    remove_crops: bool
    replay: Place | None
    latency_table: Place | None
    command: tuple[str, ...] = ()

    def with_inputs(self, request: TuneRequest, folder: Path) -> TuneRequest:
        """Return a request with the inputs that it does not name where they lie now.

        Args:
            request: Its settings name inputs as the run's do, or others, which win.
            folder: The run's, now.
        """
        settings = request.config.data
        names = place_now(self.calibration_list, folder, None, settings.calibration_list)
        if names != settings.calibration_list:
            data = settings.model_copy(update={"calibration_list": names})
            request = replace(request, config=request.config.model_copy(update={"data": data}))
        return replace(
            request,
            input_model=place_now(self.input_model, folder, request.input_model),
            data_path=place_now(self.data, folder, request.data_path, settings.path),
            label_path=place_now(self.labels, folder, request.label_path, settings.labels),
        )


def place_now(recorded: Place | None, folder: Path, asked: Path | None, named: Path | None = None) -> Path | None:
    """Return the path that is asked for, else the one that the settings name, else the recorded one, where it lies now.

    Args:
        recorded: Where the input lay; None: that is not recorded.
        folder: The run's, now.
        asked: What wins.
        named: In the settings. As the run named it, it stands for the recorded place.
    """
    if asked is not None or recorded is None:
        return asked
    return recorded.now(folder) if named is None or str(named) == recorded.named else named


def read_request(folder: Path) -> RecordedRequest:
    """Return what the run in a folder was asked.

    Raises:
        OSError: There is no journal.
        RunError: The journal cannot be read.
        ValidationError: The journal's header is of another version, or damaged.
    """
    return RecordedRequest.model_validate(recorded_request(folder / JOURNAL))


def with_inputs_of(run: Path, request: TuneRequest) -> TuneRequest:
    """Return the request of a repetition with the inputs of a run where they lie now, as far as its journal tells.

    A repetition needs no journal: without one, or with one of another version, the request is returned as it is.
    """
    try:
        return read_request(run).with_inputs(request, run)
    except (OSError, RunError, ValidationError):
        return request


def require_inputs(request: RunRequest) -> None:
    """Refuse a repetition whose inputs are not where they were.

    Raises:
        RunError: One of them is gone, or paths were given relative to a folder that nothing tells.
    """
    for flag, path in (("input_model", request.model), ("data_path", request.data), ("label_path", request.labels)):
        if path is not None and not _is_there(path):
            raise RunError(
                "an input of the run is not where it was",
                where=str(path),
                advice=f"name where it lies now with --{flag}",
            )


def _is_there(path: Path) -> bool:
    """Return whether something lies at a path, or may: a path with ``*`` stands for several files."""
    return path.exists() or ("*" in path.name and path.parent.is_dir())


def request_record(request: RunRequest, folder: Path) -> Mapping[str, Any]:
    """Return what a run in ``folder`` was asked, a JSON value, for its journal."""

    def place(path: Path | None, named: Path | None = None) -> Place | None:
        return None if path is None else Place.of(path, folder, named)

    settings, own = request.config.data, not request.demonstration
    record = RecordedRequest(
        input_model=place(request.model, request.model) if own else None,
        data=place(request.data, settings.path) if own else None,
        labels=place(request.labels, settings.labels) if own else None,
        calibration_list=place(request.calibration_list, settings.calibration_list) if own else None,
        output_is_file=request.output.suffix == ".onnx",
        target=request.config.quantization.cpus,
        criterion=request.criterion,
        skip_unreadable=request.skip_unreadable,
        remove_crops=request.remove_crops,
        replay=place(request.replay),
        latency_table=place(request.latency_table),
        command=request.begun or request.command,
    )
    return record.model_dump(mode="json")
