"""What ``quantize.tune`` returns: a run with its figures at hand."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quantize.commands.settings import PathLike
from quantize.errors import ExitCode
from quantize.measurement.timing.measurement import latency, speedups
from quantize.models.session import open_session
from quantize.public.tables import html_table
from quantize.report.models import ModelSection, Role
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.run.folder import find_run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Written = Literal["int8", "qdq"]

_MILLISECOND = 1e6
_MEGABYTE = 1e6


@dataclass(frozen=True)
class ModelFigures:
    """One model of a run.

    Attributes:
        role: ``fp32``, ``int8`` (QLinear operators) or ``qdq``.
        path: Its file; fp32's is the prepared model.
        bytes: Size.
        top1: A fraction, ties by expectation, on the images that decide; None without labels.
        top5: The same; None without labels and for five classes or fewer.
        mean_average_precision: Of a model of several labels; else None.
        agreement: Share of images with fp32's answer; None for fp32 and where it was not judged.
        sqnr_decibel: Signal over noise of the scores; None for fp32, and without noise.
        latency_ms: Median time of an image on a quiet machine; None where it was not measured.
        speedup: fp32's time / its own; None for fp32 and where it was not measured.
        speedup_interval: Its interval at the run's confidence; None with too few rounds.
    """

    role: Role
    path: Path
    bytes: int
    top1: float | None
    top5: float | None
    mean_average_precision: float | None
    agreement: float | None
    sqnr_decibel: float | None
    latency_ms: float | None
    speedup: float | None
    speedup_interval: tuple[float, float] | None


@dataclass(frozen=True, repr=False)
class TuneResult:
    """A finished run.

    Attributes:
        run: Its folder.
        report: Everything that was found, as in ``report.json``.
        exit_code: What the command would end with: 0 met, 1 not met, 3 inconclusive where certainty was asked for.
    """

    run: Path
    report: RunReport
    exit_code: ExitCode

    @classmethod
    def open(cls, run: PathLike) -> TuneResult:
        """Return an earlier run.

        Args:
            run: Its folder, or its ``report.json``.

        Raises:
            RunError: There is none, or it is damaged.
        """
        from quantize.run.verdict import exit_code

        folder = find_run(Path(run))
        report = read_report(folder / "report.json")
        return cls(folder, report, exit_code(report.verdict, report.replay))

    @property
    def met(self) -> bool:
        """Return whether accuracy and speed are as they were asked for."""
        return self.report.verdict.status == "met"

    @cached_property
    def fp32(self) -> ModelFigures:
        """Return the baseline's figures."""
        return self._figures(self.report.baseline)

    @cached_property
    def int8(self) -> ModelFigures:
        """Return the figures of the model with QLinear operators."""
        return self._figures(self._section("int8"))

    @cached_property
    def qdq(self) -> ModelFigures:
        """Return the figures of the model with QuantizeLinear and DequantizeLinear."""
        return self._figures(self._section("qdq"))

    @property
    def written(self) -> tuple[ModelFigures, ...]:
        """Return the figures of both quantized models."""
        return tuple(self._figures(section) for section in self.report.models)

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """Return a record for each trial, in their order: ``pandas.DataFrame(result.trials)`` takes them."""
        return [trial.model_dump(mode="json") for trial in self.report.trials]

    @cached_property
    def flips(self) -> list[dict[str, str]]:
        """Return a record for each image that int8 answers otherwise than fp32: the lines of ``flips.csv``."""
        file = self.run / "flips.csv"
        if not file.is_file():
            return []
        with file.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))

    def model(self, role: Written = "int8") -> str:
        """Return the absolute path of a written model, as ``onnxruntime.InferenceSession`` takes it."""
        return str(self._file(self._section(role)).absolute())

    def session(self, role: Written = "int8", *, threads: int = 1) -> InferenceSession:
        """Return a written model opened for inference on the CPU.

        Args:
            role: Which of the two.
            threads: Of each operator.
        """
        return open_session(self._file(self._section(role)), threads=threads)

    def __repr__(self) -> str:
        """Return the verdict and the figures that decide, in a few lines."""
        lines = [f"{type(self).__name__}({str(self.run)!r}): {self.report.verdict.status}"]
        for row in self._rows():
            figures = [f"{name} {value}".strip() for name, value in zip(_HEAD, row, strict=True) if value]
            lines.append("  " + ", ".join(figures))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the same as a table, for notebooks."""
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.report.verdict.reasons)
        return (
            f"<b>{escape(self.report.verdict.status)}</b>: <code>{escape(str(self.run))}</code>"
            f"{html_table(_HEAD, self._rows())}<ul>{reasons}</ul>"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                one.role,
                _percent(one.top1 if one.mean_average_precision is None else one.mean_average_precision),
                _percent(one.top5),
                _percent(one.agreement),
                "" if one.latency_ms is None else f"{one.latency_ms:.2f} ms",
                "" if one.speedup is None else f"{one.speedup:.2f}x",
                f"{one.bytes / _MEGABYTE:.2f} MB",
            )
            for one in (self.fp32, *self.written)
        ]

    def _section(self, role: Written) -> ModelSection:
        return next(section for section in self.report.models if section.role == role)

    def _file(self, section: ModelSection) -> Path:
        return self.run / section.file

    def _figures(self, section: ModelSection) -> ModelFigures:
        summary, measurement = section.deciding.evaluation, self.report.measurement
        fidelity, precision = summary.fidelity, summary.mean_average_precision
        gain = None if measurement is None else _named(section.role, speedups(measurement))
        timed = measurement is not None and any(one.name == section.role for one in measurement.contestants)
        return ModelFigures(
            role=section.role,
            path=self._file(section),
            bytes=section.bytes,
            top1=None if summary.top1 is None else summary.top1.expected,
            top5=None if summary.top5 is None else summary.top5.expected,
            mean_average_precision=None if precision is None else precision.expected,
            agreement=None if fidelity is None else fidelity.agreement,
            sqnr_decibel=None if fidelity is None else fidelity.sqnr_decibel,
            latency_ms=latency(measurement, section.role).quiet_ns / _MILLISECOND if measurement and timed else None,
            speedup=None if gain is None else gain.ratio,
            speedup_interval=None if gain is None or gain.low is None or gain.high is None else (gain.low, gain.high),
        )


_HEAD = ("", "accuracy", "top-5", "agreement", "latency", "speed-up", "size")


def _named(name: str, gains: tuple[Any, ...]) -> Any:
    return next((gain for gain in gains if gain.candidate == name), None)


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.2f} %"
