"""The commands that give a run, or its models, again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from quantize.config.schema import settings
from quantize.report.schema import RunReport

REPLAY = "quantize tune --replay report.json --output_model replayed"
"""What gives the same models from a report, without a search; it is run in the run's folder."""
_OWN = ("data_path", "label_path", "calibration_list")


def run_command(report: RunReport) -> str:
    """Return the command that gives the run again, with its paths as they were given.

    The command of a run that was resumed names the run alone: then it is made of the resolved settings, those that are
    not the default's, and of the paths in the command that began the run.
    """
    origin = report.provenance
    given = origin.command
    if not any(word == "--resume" or word.startswith("--resume=") for word in given):
        return shlex.join(given)
    words = ["quantize", "tune"]
    if not report.data.demonstration:
        paths = {
            "input_model": report.source.path,
            "data_path": report.data.path,
            "label_path": report.data.labels,
            "calibration_list": _in(report.config, ("data", "calibration_list")),
        }
        for flag, path in paths.items():
            named = _given(given, flag) or _given(origin.begun, flag)  # inputs may have been moved since it began
            words += [f"--{flag}", named or path] if path is not None else []
    words += _changed_settings(report.config)
    words += ["--criterion", "none"] if report.criterion.metric == "none" else []
    words += ["--skip_unreadable"] if report.data.skipped else []
    return shlex.join([*words, "--output_model", "again"])


def _given(command: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag in a command line; None where it is not there."""
    for number, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name.startswith("--") and name[2:].replace("-", "_") == flag:
            return value if equals else next(iter(command[number + 1 :]), None)
    return None


def _in(config: Mapping[str, Any], path: Iterable[str | int]) -> Any:
    value: Any = config
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _changed_settings(config: Mapping[str, Any]) -> Iterator[str]:
    for setting in settings():
        value = _in(config, setting.path)
        default = setting.default
        plain = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
        if value is None or setting.flag in _OWN or _alike(value, plain):
            continue
        yield from (f"--{setting.flag}", _text(value))


def _alike(value: Any, default: Any) -> bool:
    """Return whether a value of a report is a default: one name stands for a list of it there."""
    if isinstance(default, tuple):
        return bool(value == list(default) or [value] == list(default))
    return bool(value == default)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, Mapping) else str(value)
