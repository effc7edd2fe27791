"""The report of a sweep: what became of every run, and what its models gain on each class of CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from quantize.errors import ExitCode
from quantize.measurement.timing.measurement import Measurement, speedups
from quantize.report.criterion import Status
from quantize.report.models import ModelSection
from quantize.report.provenance import Tool
from quantize.report.schema import RunReport
from quantize.report.section import Section
from quantize.target import CpuClass


class SweepSpeed(Section):
    """What a run's file gains over fp32 on a class of CPUs.

    Attributes:
        cpu_class: The class of the CPU that measured.
        cpu_model: That CPU.
        role: ``int8`` (QLinear) or ``qdq``.
        ratio: fp32's time over the file's.
        low: Lower end of its 95 % interval; None: there were too few rounds for one.
        high: Upper end.
        target: Whether the file is for that class.
    """

    cpu_class: CpuClass
    cpu_model: str
    role: str
    ratio: float
    low: float | None
    high: float | None
    target: bool


class SweepModelSection(Section):
    """A model of a run: fp32, or one of its files.

    Attributes:
        role: ``fp32``, ``int8`` or ``qdq``.
        graph_sha256: Its identity.
        bytes: Its size.
        accuracy: Top-1, or the mean average precision of labels, on the deciding images; None without labels.
        drop: What it lost against fp32, a fraction; None for fp32, and without labels.
        agreement: Share of the deciding images with fp32's answer; None for fp32.
    """

    role: str
    graph_sha256: str
    bytes: int
    accuracy: float | None
    drop: float | None
    agreement: float | None


class SweepTimes(Section):
    """What differs from one time to the next: everything that was measured in time, and where.

    Attributes:
        seconds: How long the run's own stages took, in all.
        worker: The worker that finished it; None: an earlier sweep did.
        speed: What its files gain, by class of CPUs.
    """

    seconds: float | None
    worker: str | None
    speed: tuple[SweepSpeed, ...] = ()


class SweepRun(Section):
    """A run of the sweep.

    Attributes:
        name: What it is called.
        model: The fp32 model.
        settings: Its settings file; None: the defaults.
        engine: What tuned it.
        target: The class of CPUs that its files are for; None where nothing came of it.
        run: Its folder, relative to the sweep's.
        exit_code: As ``quantize tune`` would have exited.
        status: The verdict; None where nothing came of it.
        headline: The verdict in a few words; None where nothing came of it.
        error: Why nothing came of it.
        facts: Of that error: found, expected, to do; or the last lines of the process.
        models: fp32, then its files.
        times: What differs from one time to the next.
    """

    name: str
    model: str
    settings: str | None
    engine: str
    target: CpuClass | None
    run: str
    exit_code: int
    status: Status | None
    headline: str | None
    error: str | None
    facts: str | None
    models: tuple[SweepModelSection, ...]
    times: SweepTimes


class SweepWorker(Section):
    """A worker, as it was when the sweep began.

    Attributes:
        name: What Dask calls it.
        cpu_class: The class of its CPU.
        cores: Cores that it may run on.
        benchmark: Whether latency is measured there.
        missing: What it did not find of what the sweep reads: it got no work then.
        claimed: Whether the environment variable QUANTIZE_CPU_CLASS names that class, whatever the CPU is.
    """

    name: str
    cpu_class: CpuClass
    cores: int
    benchmark: bool
    missing: tuple[str, ...]
    claimed: bool = False


class SweepReport(Section):
    """Everything that a sweep found.

    Attributes:
        schema_version: Version of this schema.
        exit_code: That of the worst run: 70, 2, 1, 3, 0 in that order.
        runs: Every run, in the order of the file.
        classes: Classes of CPUs that were measured on.
        workers: The workers; empty where everything was done already.
        created: Time of writing, UTC, ISO 8601.
        command: The command line, as words.
        tool: What wrote the report.
    """

    schema_version: Literal[1] = 1
    exit_code: int
    runs: tuple[SweepRun, ...]
    classes: tuple[CpuClass, ...]
    workers: tuple[SweepWorker, ...]
    created: str
    command: tuple[str, ...]
    tool: Tool


def worst(runs: tuple[SweepRun, ...]) -> ExitCode:
    """Return the exit code of the worst run."""
    return ExitCode.worst([ExitCode(run.exit_code) for run in runs])


def models_of(report: RunReport) -> tuple[SweepModelSection, ...]:
    """Return fp32 and the files of a run."""
    return tuple(_model(model) for model in (report.baseline, *report.models))


def speed_of(measurement: Measurement, target: CpuClass, measured_on: CpuClass) -> tuple[SweepSpeed, ...]:
    """Return what a run's files gain in a measurement."""
    return tuple(
        SweepSpeed(
            cpu_class=measured_on,
            cpu_model=measurement.environment.cpu_model,
            role=gain.candidate,
            ratio=gain.ratio,
            low=gain.low,
            high=gain.high,
            target=measured_on == target,
        )
        for gain in speedups(measurement)
        if gain.candidate in ("int8", "qdq")
    )


def seconds_of(report: RunReport) -> float:
    """Return how long a run's stages took."""
    return sum(stage.seconds for stage in report.stages)


def relative(folder: Path, output: Path) -> str:
    """Return a run's folder as the report names it."""
    return folder.relative_to(output).as_posix()


def _model(model: ModelSection) -> SweepModelSection:
    section = model.deciding
    evaluation = section.evaluation
    return SweepModelSection(
        role=model.role,
        graph_sha256=model.graph_sha256,
        bytes=model.bytes,
        accuracy=evaluation.accuracy.expected if evaluation.accuracy is not None else None,
        drop=section.paired.drop if section.paired is not None else None,
        agreement=evaluation.fidelity.agreement if evaluation.fidelity is not None else None,
    )
