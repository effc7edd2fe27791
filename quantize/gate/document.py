"""A report as the gate reads it: missing values stay missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from quantize.bounded_reading import read_json
from quantize.errors import RunError
from quantize.evaluation.paired import PairedComparison
from quantize.evaluation.paired_precision import PrecisionComparison
from quantize.measurement.machine.loads import Resources
from quantize.measurement.timing.measurement import Measurement, measured_noise_floor, percentile_ns, speedups
from quantize.measurement.timing.speedup import Speedup
from quantize.report.renamed_keys import with_new_names

ROLES = ("int8", "qdq")
"""The written models."""

_OF_ACCURACY = {
    "top1": ("evaluation", "top1", "expected"),
    "top5": ("evaluation", "top5", "expected"),
    "top1_drop": ("top1", "drop"),
    "top5_drop": ("top5", "drop"),
    "map": ("evaluation", "mean_average_precision", "expected"),
    "map_drop": ("mean_average_precision", "drop"),
    "agreement": ("evaluation", "fidelity", "agreement"),
    "kl": ("evaluation", "fidelity", "mean_kl"),
    "tie_share": ("evaluation", "tied_share"),
}
_OF_MODEL = {"size": "bytes", "integer_share": "integer_share"}


@dataclass(frozen=True)
class ReportDocument:
    """The values of a ``report.json``, not held to the schema: a metric that was deleted is missing, not an error.

    Attributes:
        values: The JSON object.
    """

    values: Mapping[str, Any]

    def at(self, *path: str) -> Any:
        """Return the value below keys, or None."""
        value: Any = self.values
        for key in path:
            if not isinstance(value, Mapping):
                return None
            value = value.get(key)
        return value

    def text(self, *path: str) -> str | None:
        """Return a text, or None if there is no text."""
        value = self.at(*path)
        return value if isinstance(value, str) else None

    def model(self, role: str) -> ReportDocument:
        """Return the section of ``fp32``, ``int8`` or ``qdq``; an empty one if it is missing."""
        listed = self.at("models")
        sections = [self.at("baseline"), *(listed if isinstance(listed, list) else [])]
        candidates = (section for section in sections if isinstance(section, Mapping) and section.get("role") == role)
        return ReportDocument(next(candidates, {}))

    def deciding(self, role: str) -> ReportDocument:
        """Return a model's accuracy on the images that its verdict rests on."""
        model = self.model(role)
        for key in ("certification", "selection"):
            section = model.at(key)
            if isinstance(section, Mapping):
                return ReportDocument(section)
        return ReportDocument({})

    def paired(self, role: str, name: str) -> PairedComparison | PrecisionComparison | None:
        """Return a model's comparison ``top1``, ``top5`` or ``map`` with fp32, or None if it is incomplete."""
        try:
            if name == "map":
                return PrecisionComparison.model_validate(self.deciding(role).at("mean_average_precision"))
            return PairedComparison.model_validate(self.deciding(role).at(name))
        except ValidationError:
            return None

    @cached_property
    def measurement(self) -> Measurement | None:
        """The latencies, or None if they are incomplete."""
        try:
            return Measurement.model_validate(self.at("measurement"))
        except ValidationError:
            return None

    @property
    def labelled(self) -> bool:
        """Whether the run had labels."""
        return self.at("data", "labelled") is True

    def figure(self, role: str, name: str) -> float | None:
        """Return a figure, see ``FIGURES``; None if missing from the report."""
        if name in _OF_ACCURACY:
            return _number(self.deciding(role).at(*_OF_ACCURACY[name]))
        if name in _OF_MODEL:
            return _number(self.model(role).at(_OF_MODEL[name]))
        if name == "peak_memory":
            return self._memory(role)
        if name == "tuning_time":
            return self._seconds()
        return self._speed(role, name)

    @cached_property
    def gains(self) -> Mapping[str, Speedup]:
        """Each candidate's speed-up over fp32; empty where nothing was measured."""
        return {gain.candidate: gain for gain in speedups(self.measurement)} if self.measurement is not None else {}

    @cached_property
    def noise_floor(self) -> float | None:
        """The largest relative difference of fp32 from itself, a fraction; None if it was not measured."""
        return measured_noise_floor(self.measurement) if self.measurement is not None else None

    @cached_property
    def _runs(self) -> Mapping[str, list[int]]:
        runs: dict[str, list[int]] = {}
        for block in self.measurement.blocks if self.measurement is not None else ():
            runs.setdefault(block.contestant, []).extend(block.runs_ns)
        return runs

    def _speed(self, role: str, name: str) -> float | None:
        if name == "speedup":
            return self.gains[role].ratio if role in self.gains else None
        return percentile_ns(self._runs.get(role, []), {"latency_p50": 0.5, "latency_p99": 0.99}[name])

    def _memory(self, role: str) -> float | None:
        entries = self.at("resources")
        for entry in entries if isinstance(entries, list) else ():
            try:
                resources = Resources.model_validate(entry)
            except ValidationError:
                continue
            if resources.name == role:
                return resources.model_bytes
        return None

    def _seconds(self) -> float | None:
        stages = self.at("stages")
        if not isinstance(stages, list) or not stages:
            return None
        seconds = [_number(stage.get("seconds")) if isinstance(stage, Mapping) else None for stage in stages]
        known = [value for value in seconds if value is not None]
        return sum(known) if len(known) == len(seconds) else None


def read_document(path: Path) -> ReportDocument:
    """Read a ``report.json`` without holding it to the schema.

    Raises:
        RunError: It is missing, not JSON, or a report of another schema version.
    """
    try:
        values = read_json(path, regular=True)
    except (OSError, ValueError) as error:
        raise RunError("the report cannot be read", where=str(path), found=str(error)) from None
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != 1:
        raise RunError(
            "a report that this version cannot read",
            where=str(path),
            found=f"schema version {version}" if version is not None else "no schema version",
            expected="a report.json of schema version 1",
        )
    return ReportDocument(with_new_names(values))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
