"""How much of the processor the container gives: its CPU quota, and how often it was throttled."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/")


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Return the CPU quota in cores (1.5: one and a half), or None where there is none.

    The smallest quota on the way from this process's control group up to the root holds, in cgroup version 2
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
    """Return in how many periods this process's own control group was throttled, or None where it is not told."""
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


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return None
