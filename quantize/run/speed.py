"""Whether the written files are fast enough, by the run's own measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantize.criterion import Outcome, SpeedCriterion, is_slower, overall
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.timing.measurement import Measurement, measured_noise_floor, speedups
from quantize.report.models import Role
from quantize.report.speed import FileSpeed, SpeedStatus, SpeedVerdict
from quantize.target import CpuClass


def speed_verdict(
    measurement: Measurement, names: Mapping[Role, str], criterion: SpeedCriterion, target: CpuClass, *, asked: bool
) -> SpeedVerdict:
    """Return the verdict on the speed of a pair of files.

    Args:
        measurement: Holds both and fp32.
        names: Role of each file to its name there.
        criterion: What was asked for.
        target: Class of CPUs that the files are for: on another one their speed is not judged.
        asked: False where ``--criterion none`` asks for no verdict.
    """
    here = measurement.environment.cpu_class or this_cpu_class()
    gains = {gain.candidate: gain for gain in speedups(measurement)}
    floor, judged = measured_noise_floor(measurement), asked and criterion.min_speedup > 0 and here == target
    files = tuple(
        FileSpeed(
            role="qdq" if role == "qdq" else "int8",
            ratio=gain.ratio,
            low=gain.low,
            high=gain.high,
            outcome=criterion.outcome(gain, floor) if judged else None,
            slower=is_slower(gain, floor),
        )
        for role, name in names.items()
        if (gain := gains.get(name)) is not None
    )
    return SpeedVerdict(
        status=_status(files, len(names), judged=judged, for_target=here == target),
        min_speedup=criterion.min_speedup,
        noise_floor=floor,
        measured_on=here,
        target=target,
        files=files,
    )


def _status(files: Sequence[FileSpeed], expected: int, *, judged: bool, for_target: bool) -> SpeedStatus:
    if not for_target:
        return "not measured for the target"
    if not judged:
        return "not asked"
    outcomes = [one.outcome for one in files if one.outcome is not None]
    missing: list[Outcome] = ["inconclusive"] * (expected - len(outcomes))  # a file without a figure is not fast enough
    return overall([*outcomes, *missing])
