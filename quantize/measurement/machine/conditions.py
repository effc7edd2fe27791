"""How busy the machine is at one moment: read before and after a measurement."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine import container, cpu

_ROOT = Path("/")


class Conditions(BaseModel):
    """A reading of what else goes on.

    Attributes:
        load_average: Runnable processes, mean of the last minute; None where the system does not tell.
        steal_seconds: Time that the hypervisor gave to other guests since boot, over all cores; None where not told.
        cpu_seconds: All time of all cores since boot, idle too.
        throttled_periods: Periods in which the container's quota stopped this group; None where not told.
        involuntary_switches: Times that this process was taken off a core though it could have run on.
        frequency_mhz: Current frequency; None where not told.
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
        throttled_periods=container.throttled_periods(root),
        involuntary_switches=switches,
        frequency_mhz=cpu.frequency_mhz(),
    )


def steal_share(before: Conditions, after: Conditions) -> float | None:
    """Return the share of all cores' time that the hypervisor took away in between; None where not told."""
    passed = after.cpu_seconds - before.cpu_seconds
    if before.steal_seconds is None or after.steal_seconds is None or passed <= 0:
        return None
    return (after.steal_seconds - before.steal_seconds) / passed
