"""How many physical cores this process may use at once."""

from __future__ import annotations

import math
from pathlib import Path

from quantize.measurement.machine import cpu

_ROOT = Path("/")


def usable_physical_cores(root: Path = _ROOT, cores: tuple[int, ...] | None = None) -> int:
    """Return the physical cores that this process may use: the affinity's, within the CPU quota, at least one.

    Two logical cores of one physical core are one: a second thread there shares what computes products.

    Args:
        root: The folder that holds ``proc`` and ``sys``.
        cores: The logical cores that it may run on; None: ask the system.
    """
    allowed = cores or cpu.affinity() or tuple(range(cpu.logical_cores()))
    physical = len({frozenset(kin) for kin in cpu.siblings(allowed, root).values()})
    quota = cpu.cpu_quota(root)
    return physical if quota is None else max(1, min(physical, math.floor(quota)))
