"""The machine, software and settings of a measurement, and how busy the machine was."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

import onnxruntime
import psutil
from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine import cpu
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.timing.plan import Plan
from quantize.target import CpuClass

_ROOT = Path("/")


class Environment(BaseModel):
    """What must match before two times in nanoseconds can be compared.

    Attributes:
        cpu_model: The processor's name.
        architecture: For example ``x86_64``.
        isa_flags: The instruction sets that matter to int8; None if unknown.
        logical_cores: Of the machine.
        physical_cores: Of the machine; None if unknown.
        affinity: Cores that the process may use; None if the system has no affinity.
        numa_nodes: Number of NUMA nodes; None if unknown.
        cpu_quota: The container's quota in cores; None without one.
        governor: The frequency governor; None if unknown.
        operating_system: Its name and release.
        python: Its version.
        onnxruntime: Its version.
        onnxruntime_build: Its build information.
        threads: Intra-op threads.
        batch_size: Images per run.
        spinning: Whether waiting threads spin; None is onnxruntime's default.
        optimization: Graph optimization level.
        cpu_class: Class of the processor; None in earlier measurements.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_model: str
    architecture: str
    isa_flags: tuple[str, ...] | None
    logical_cores: int
    physical_cores: int | None
    affinity: tuple[int, ...] | None
    numa_nodes: int | None
    cpu_quota: float | None
    governor: str | None
    operating_system: str
    python: str
    onnxruntime: str
    onnxruntime_build: str
    threads: int
    batch_size: int
    spinning: bool | None
    optimization: str
    cpu_class: CpuClass | None = None

    @property
    def usable_cores(self) -> int:
        """Return the whole cores that this process can use: the affinity's, within the quota, at least one."""
        cores = self.logical_cores if self.affinity is None else len(self.affinity)
        return cores if self.cpu_quota is None else max(1, min(cores, math.floor(self.cpu_quota)))


def read_environment(plan: Plan, root: Path = _ROOT) -> Environment:
    """Return the environment of measurements in this process.

    Args:
        plan: Gives the settings.
        root: The folder that holds ``proc`` and ``sys``.
    """
    return Environment(
        cpu_model=cpu.cpu_model(root),
        architecture=platform.machine(),
        isa_flags=cpu.isa_flags(root),
        logical_cores=cpu.logical_cores(),
        physical_cores=cpu.physical_cores(),
        affinity=cpu.affinity(),
        numa_nodes=len(cpu.numa_nodes(root)) or None,
        cpu_quota=cpu.cpu_quota(root),
        governor=cpu.governor(root),
        operating_system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        onnxruntime=onnxruntime.__version__,
        onnxruntime_build=onnxruntime.get_build_info(),
        threads=plan.threads,
        batch_size=plan.batch_size,
        spinning=plan.spinning,
        optimization=plan.optimization,
        cpu_class=this_cpu_class(),
    )


class Conditions(BaseModel):
    """How busy the machine is at one moment.

    Attributes:
        load_average: Runnable processes, mean of the last minute; None if unknown.
        steal_seconds: Time given to other guests by the hypervisor since boot, over all cores; None if unknown.
        cpu_seconds: Time of all cores since boot, idle time included.
        throttled_periods: Periods in which the container's quota stopped this process; None if unknown.
        involuntary_switches: How often this process lost a core although it could have continued.
        frequency_mhz: Current frequency; None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    load_average: float | None
    steal_seconds: float | None
    cpu_seconds: float
    throttled_periods: int | None
    involuntary_switches: int | None
    frequency_mhz: float | None


def read_conditions(root: Path = _ROOT) -> Conditions:
    """Return how busy the machine is now."""
    times = psutil.cpu_times()
    switches = psutil.Process().num_ctx_switches().involuntary
    return Conditions(
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        steal_seconds=getattr(times, "steal", None),
        # guest and guest_nice are already in user and nice.
        cpu_seconds=float(sum(value for name, value in times._asdict().items() if not name.startswith("guest"))),
        throttled_periods=cpu.throttled_periods(root),
        involuntary_switches=switches,
        frequency_mhz=cpu.frequency_mhz(),
    )


def steal_share(before: Conditions, after: Conditions) -> float | None:
    """Return the share of all cores' time that the hypervisor took between two readings; None if unknown."""
    passed = after.cpu_seconds - before.cpu_seconds
    if before.steal_seconds is None or after.steal_seconds is None or passed <= 0:
        return None
    return (after.steal_seconds - before.steal_seconds) / passed
