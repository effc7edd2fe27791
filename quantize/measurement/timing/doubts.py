"""Reasons to distrust a figure, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from quantize.cpus.registry import DOT_PRODUCTS
from quantize.measurement.machine.environment import Environment, steal_share
from quantize.measurement.timing.blocks import fewest_runs
from quantize.measurement.timing.measurement import Measurement, control_speedup, latency, speedups
from quantize.measurement.timing.speedup import Speedup

ENOUGH_IMAGES = 64
_SPREAD = 0.10  # pyperf warns from this standard deviation on
_STEAL = 0.01
_PREEMPTED = 0.05


class Doubt(BaseModel):
    """A reason not to trust a figure.

    Attributes:
        name: What it is about, for machines.
        text: What was found.
        advice: What to do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    text: str
    advice: str


def doubts(measurement: Measurement) -> tuple[Doubt, ...]:
    """Return all reasons to doubt a measurement, the gravest first."""
    return (
        *_figures(measurement),
        *_competition(measurement),
        *_machine(measurement.environment, measurement.plan.asked_threads),
        *_inputs(measurement),
    )


def _machine(environment: Environment, asked_threads: int | None) -> Iterator[Doubt]:
    cores, threads = environment.usable_cores, environment.threads
    if asked_threads is not None and asked_threads > threads:
        yield Doubt(
            name="too few cores",
            text=f"{asked_threads} cores per instance were asked for, but there are only {threads}",
            advice="compare only with figures for the same number of cores",
        )
    elif threads > cores or (environment.cpu_quota is not None and threads > environment.cpu_quota):
        quota = "" if environment.cpu_quota is None else f" (CPU quota {environment.cpu_quota:g})"
        yield Doubt(
            name="too few cores",
            text=f"{threads} threads share {_count(cores, 'core')}{quota}",
            advice="ask for fewer cores per instance, or give the process more",
        )
    if environment.governor not in (None, "performance"):
        yield Doubt(
            name="governor",
            text=f"the frequency governor is {environment.governor}: the clock follows the load",
            advice="set it to performance (cpupower frequency-set -g performance)",
        )
    flags = environment.isa_flags
    if flags is not None and DOT_PRODUCTS.isdisjoint(flags):
        yield Doubt(
            name="no int8 instructions",
            text="this processor has no int8 dot product: int8 gains little here, and U8S8 sums can saturate",
            advice="measure on the processor that will serve; tune for this one with --target auto, the default",
        )
    if "Debug" in environment.onnxruntime_build:
        yield Doubt(name="debug build", text="onnxruntime is a debug build", advice="install the released package")


def _figures(measurement: Measurement) -> Iterator[Doubt]:
    compared, precision, ended_by = speedups(measurement), measurement.plan.precision, _ended_by(measurement)
    for speedup in compared:
        width = speedup.relative_width
        if width is None:
            yield Doubt(
                name="too few rounds",
                text=f"{_count(speedup.rounds, 'round')} give no interval for {speedup.candidate}",
                advice=f"raise {ended_by}",
            )
        elif width > precision:
            yield Doubt(
                name="imprecise",
                text=f"the speed-up interval of {speedup.candidate} is {100 * width:.1f} % wide after "
                f"{measurement.seconds:.0f} s; {100 * precision:.1f} % was asked for",
                advice=f"raise {ended_by}, or measure when the machine is quiet",
            )
    control = control_speedup(measurement)
    if control is not None and _excludes_one(control):
        yield Doubt(
            name="control",
            text=f"{control.baseline} differs from itself: {control.ratio:.3f}x",
            advice="measure when the machine is quiet; differences of this size mean nothing here",
        )
    spreads = {contestant.name: latency(measurement, contestant.name).spread for contestant in measurement.contestants}
    wide = {name: spread for name, spread in spreads.items() if spread is not None and spread >= _SPREAD}
    if wide:
        yield Doubt(
            name="spread",
            text="block medians vary by "
            + ", ".join(f"{100 * spread:.0f} % ({name})" for name, spread in wide.items()),
            advice="close other programs; trust the paired speed-up more than the times",
        )


def _ended_by(measurement: Measurement) -> str:
    """Return the setting that ended a measurement which was not precise yet."""
    plan, names = measurement.plan, [contestant.name for contestant in measurement.contestants]
    ran_out = not plan.until_precise and fewest_runs(measurement.blocks, names) >= plan.iteration
    return "iteration" if ran_out else "max_seconds"


def _competition(measurement: Measurement) -> Iterator[Doubt]:
    environment, before, after = measurement.environment, measurement.before, measurement.after
    load, threads = before.load_average, min(environment.threads, environment.logical_cores)
    if load is not None and load + threads > environment.logical_cores + 0.5:
        yield Doubt(
            name="load",
            text=f"the load average was {load:.1f} on {_count(environment.logical_cores, 'core')} when it began",
            advice="measure when the machine is quiet",
        )
    runs = sum(len(block.runs_ns) for block in measurement.blocks)
    share = sum(len(block.preempted) for block in measurement.blocks) / runs
    if share >= _PREEMPTED:
        yield Doubt(
            name="preempted",
            text=f"other processes interrupted {100 * share:.0f} % of the runs; the percentiles include their time",
            advice="measure when the machine is quiet; the speed-up leaves these runs out",
        )
    steal = steal_share(before, after)
    if steal is not None and steal >= _STEAL:
        yield Doubt(
            name="steal",
            text=f"the hypervisor gave {100 * steal:.1f} % of the processor's time to other guests",
            advice="measure on a dedicated machine, or repeat at another time",
        )
    if before.throttled_periods is not None and after.throttled_periods is not None:
        throttled = after.throttled_periods - before.throttled_periods
        if throttled > 0:
            yield Doubt(
                name="throttled",
                text=f"the container's CPU quota stopped the process in {_count(throttled, 'period')}",
                advice="use fewer threads, or raise the quota",
            )


def _inputs(measurement: Measurement) -> Iterator[Doubt]:
    if measurement.images < ENOUGH_IMAGES:
        yield Doubt(
            name="few images",
            text=f"only {_count(measurement.images, 'different image')} took turns",
            advice=f"give at least {ENOUGH_IMAGES}",
        )


def _excludes_one(speedup: Speedup) -> bool:
    return speedup.low is not None and speedup.high is not None and not speedup.low <= 1 <= speedup.high


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
