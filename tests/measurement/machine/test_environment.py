"""What is read about the machine, from trees of proc and sys as on several systems."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from quantize.measurement.machine import cpu
from quantize.measurement.machine.environment import (
    Conditions,
    Environment,
    read_conditions,
    read_environment,
    steal_share,
)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="ascii")
    return root


def test_the_cpu_and_its_int8_instructions_are_read_from_an_x86_system(tmp_path):
    text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nflags\t\t: fpu avx2 avx512_vnni amx_int8 sse\n"
    root = tree(tmp_path, {"proc/cpuinfo": text})
    assert cpu.cpu_model(root) == "Some CPU @ 2.0GHz"
    assert cpu.isa_flags(root) == ("avx2", "avx512_vnni", "amx_int8")


def test_the_int8_instructions_are_read_from_an_arm_system(tmp_path):
    root = tree(tmp_path, {"proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"})
    assert cpu.isa_flags(root) == ("asimd", "asimddp", "i8mm")


def test_a_system_without_proc_and_sys_reports_nothing_rather_than_zero(tmp_path):
    assert cpu.cpu_model(tmp_path)
    assert cpu.isa_flags(tmp_path) is None
    assert cpu.numa_nodes(tmp_path) == ()
    assert cpu.governor(tmp_path) is None
    assert cpu.siblings((0, 1), tmp_path) == {0: (0,), 1: (1,)}
    assert cpu.cpu_quota(tmp_path) is None
    assert cpu.throttled_periods(tmp_path) is None


def test_numa_nodes_are_in_numeric_order(tmp_path):
    node = "sys/devices/system/node"
    root = tree(tmp_path, {f"{node}/node{n}/cpulist": f"{n * 4}-{n * 4 + 1},{n * 4 + 3}\n" for n in (0, 1, 10, 2)})
    assert cpu.numa_nodes(root) == ((0, 1, 3), (4, 5, 7), (8, 9, 11), (40, 41, 43))


def test_siblings_and_governor_are_read(tmp_path):
    folder = "sys/devices/system/cpu"
    root = tree(
        tmp_path,
        {
            f"{folder}/cpu0/topology/thread_siblings_list": "0,4",
            f"{folder}/cpu0/cpufreq/scaling_governor": "powersave\n",
        },
    )
    assert cpu.siblings((0,), root) == {0: (0, 4)}
    assert cpu.governor(root) == "powersave"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/outer/inner\n",
                "sys/fs/cgroup/outer/cpu.max": "200000 100000",
                "sys/fs/cgroup/outer/inner/cpu.max": "max 100000",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/docker/abc\n2:cpuset:/docker/abc\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/docker/abc\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
)
def test_the_container_quota_is_the_smallest_on_the_way_to_the_root(tmp_path, files, quota):
    assert cpu.cpu_quota(tree(tmp_path, files)) == quota


def test_throttling_is_read_from_this_process_own_group(tmp_path):
    stat = "nr_periods 9\nnr_throttled 4\nthrottled_usec 12\n"
    files = {"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/cpu.stat": stat}
    assert cpu.throttled_periods(tree(tmp_path, files)) == 4


def test_the_environment_of_this_process_is_complete(plan):
    environment = read_environment(plan)
    assert environment.onnxruntime == onnxruntime.__version__
    assert "build type" in environment.onnxruntime_build
    assert 1 <= environment.usable_cores <= environment.logical_cores
    assert environment.threads == plan.threads
    assert Environment.model_validate_json(environment.model_dump_json()) == environment


def test_a_quota_limits_the_usable_cores(recorded):
    change = recorded.environment.model_copy
    assert change(update={"affinity": (0, 1, 2, 3), "cpu_quota": 2.5}).usable_cores == 2
    assert change(update={"affinity": (0, 1, 2, 3), "cpu_quota": 0.5}).usable_cores == 1
    assert change(update={"affinity": None, "logical_cores": 6}).usable_cores == 6


def test_conditions_are_read_and_steal_is_a_share_of_the_time_between():
    now = read_conditions()
    assert now.cpu_seconds > 0
    first = Conditions.model_validate({**now.model_dump(), "steal_seconds": 10.0, "cpu_seconds": 100.0})
    later = first.model_copy(update={"steal_seconds": 11.0, "cpu_seconds": 120.0})
    assert steal_share(first, later) == pytest.approx(0.05)
    assert steal_share(first, first) is None
    assert steal_share(first.model_copy(update={"steal_seconds": None}), later) is None
