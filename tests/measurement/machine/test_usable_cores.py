"""How many physical cores a process may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.measurement.machine.usable_cores import usable_physical_cores


@pytest.fixture
def hyperthreaded(tmp_path: Path) -> Path:
    """The folders of a machine of four physical cores with two threads each: 0 and 4 are one, 1 and 5, and so on."""
    for core in range(8):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{core % 4},{core % 4 + 4}\n", encoding="ascii")
    return tmp_path


def test_two_threads_of_a_core_are_one_core(hyperthreaded: Path) -> None:
    assert usable_physical_cores(hyperthreaded, tuple(range(8))) == 4


def test_only_those_count_that_the_process_may_run_on(hyperthreaded: Path) -> None:
    assert usable_physical_cores(hyperthreaded, (0, 4)) == 1
    assert usable_physical_cores(hyperthreaded, (0, 1, 4)) == 2


@pytest.mark.parametrize(("quota", "cores"), [("max", 4), ("250000", 2), ("50000", 1)])
def test_a_containers_quota_leaves_whole_cores(hyperthreaded: Path, quota: str, cores: int) -> None:
    (hyperthreaded / "proc/self").mkdir(parents=True)
    (hyperthreaded / "proc/self/cgroup").write_text("0::/\n", encoding="ascii")
    (hyperthreaded / "sys/fs/cgroup").mkdir(parents=True)
    (hyperthreaded / "sys/fs/cgroup/cpu.max").write_text(f"{quota} 100000\n", encoding="ascii")
    assert usable_physical_cores(hyperthreaded, tuple(range(8))) == cores


def test_a_system_that_tells_no_siblings_has_cores_of_one_thread(tmp_path: Path) -> None:
    assert usable_physical_cores(tmp_path, (0, 1, 2)) == 3
