"""The processor, and how much of it this process may use, according to the system."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from quantize.cpus.registry import RECORDED_SETS

_ROOT = Path("/")


def cpu_model(root: Path = _ROOT) -> str:
    """Return the processor's name, or the architecture if the system does not report it."""
    for line in _cpuinfo(root):
        key, _, value = line.partition(":")
        if key.strip().lower() in ("model name", "hardware") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def isa_flags(root: Path = _ROOT) -> tuple[str, ...] | None:
    """Return the instruction sets that decide int8 kernels; None if unknown."""
    for line in _cpuinfo(root):
        key, _, value = line.partition(":")
        if key.strip().lower() in ("flags", "features"):
            present = set(value.split())
            return tuple(flag for flag in RECORDED_SETS if flag in present)
    return None


def affinity() -> tuple[int, ...] | None:
    """Return the cores that this process may use, or None if the system has no affinity."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None


def logical_cores() -> int:
    """Return the machine's number of logical cores."""
    return os.cpu_count() or 1


def physical_cores() -> int | None:
    """Return the machine's number of physical cores, or None if unknown."""
    return psutil.cpu_count(logical=False)


def numa_nodes(root: Path = _ROOT) -> tuple[tuple[int, ...], ...]:
    """Return the cores of each NUMA node, in the order of the nodes; empty if unknown."""
    folder = root / "sys/devices/system/node"
    lists = sorted(folder.glob("node[0-9]*/cpulist"), key=lambda path: int(path.parent.name.removeprefix("node")))
    return tuple(core_list(path.read_text(encoding="ascii")) for path in lists)


def siblings(cores: tuple[int, ...], root: Path = _ROOT) -> dict[int, tuple[int, ...]]:
    """Return for each core the logical cores that share its physical core, itself among them."""
    siblings_of = {}
    for core in cores:
        path = root / f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        text = _read(path)
        siblings_of[core] = (core,) if text is None else core_list(text)
    return siblings_of


def governor(root: Path = _ROOT) -> str | None:
    """Return the frequency governor of the first core, or None if unknown (most guests)."""
    text = _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return text.strip() if text else None


def frequency_mhz() -> float | None:
    """Return the current frequency in MHz, or None if unknown (a guest sees the nominal one)."""
    try:
        frequency = psutil.cpu_freq()
    except (NotImplementedError, OSError):
        return None
    return float(frequency.current) if frequency is not None and frequency.current else None


def core_list(text: str) -> tuple[int, ...]:
    """Return the cores of a kernel list such as ``0-3,8,10-11``."""
    cores: list[int] = []
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cores += range(int(first), int(last or first) + 1)
    return tuple(cores)


def _cpuinfo(root: Path) -> list[str]:
    return (_read(root / "proc/cpuinfo") or "").splitlines()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Return the CPU quota in cores (1.5 is one and a half cores), or None if there is no quota.

    The smallest quota between this process's control group and the root applies, in cgroup version 2
    (``cpu.max``) and version 1 (``cpu.cfs_quota_us`` / ``cpu.cfs_period_us``).
    """
    quotas = []
    for folder in _groups(root):
        words = (_read(folder / "cpu.max") or "").split()
        if len(words) == 2 and words[0] != "max":
            quotas.append(int(words[0]) / int(words[1]))
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota and period and int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def throttled_periods(root: Path = _ROOT) -> int | None:
    """Return the number of periods in which this process's control group was throttled, or None if unknown."""
    for folder in _groups(root):
        for line in (_read(folder / "cpu.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_throttled":
                return int(value)
    return None


def _groups(root: Path) -> list[Path]:
    """Return the folders of this process's control groups for the processor, innermost first."""
    folders: list[Path] = []
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        names = controllers.split(",")
        if controllers == "":
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif "cpu" in names:
            mounts = [root / "sys/fs/cgroup" / controllers, root / "sys/fs/cgroup/cpu"]
        else:
            continue
        inner = Path(group.strip().lstrip("/"))
        for mount in mounts:
            # Inside a container the path is often the host's, and only the mount itself is there.
            folders += [mount / part for part in (inner, *inner.parents)]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
