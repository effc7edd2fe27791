"""Load time and memory of each model in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from quantize.errors import ModelError
from quantize.measurement.machine.memory import peak_resident_bytes
from quantize.measurement.machine.resources import Load, Resources, measure_resources
from quantize.measurement.timing.plan import Plan


def test_each_model_is_loaded_in_processes_of_its_own(tiny, tiny_images):
    plan = Plan(models={"fp32": tiny, "int8": tiny})
    found = measure_resources(plan, {"fp32": tiny_images[0], "int8": tiny_images[0]}, repeats=1)
    assert [one.name for one in found] == ["fp32", "int8"]
    for one in found:
        assert one.load_ns > 0
        assert one.first_run_ns > 0
        assert one.loads[0].before_bytes > 10_000_000
        assert one.model_bytes is None or 0 <= one.model_bytes < 100_000_000


def test_a_model_that_cannot_be_loaded_is_an_error_of_the_user(tmp_path, tiny_images):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        measure_resources(Plan(models={"fp32": broken}), {"fp32": tiny_images[0]}, repeats=1)


def test_figures_are_medians_and_an_unknown_peak_stays_unknown():
    loads = [
        Load(load_ns=ns, first_run_ns=ns, before_bytes=100, loaded_bytes=150, peak_bytes=100 + ns) for ns in (5, 90, 6)
    ]
    found = Resources(name="a", loads=tuple(loads))
    assert (found.load_ns, found.first_run_ns, found.peak_bytes, found.model_bytes) == (6, 6, 106, 6)
    unknown = Resources(name="a", loads=(*loads, loads[0].model_copy(update={"peak_bytes": None})))
    assert unknown.peak_bytes is None
    assert unknown.model_bytes is None


def test_the_peak_remembers_memory_that_is_gone_until_it_is_told_to_forget():
    """In a process of its own: what the others of this one free would count too."""
    lines = [
        "from quantize.measurement.machine.memory import forget_peak, peak_resident_bytes",
        "print(int(forget_peak()), peak_resident_bytes())",
        "block = bytearray(b'x' * 80_000_000)",
        "del block",
        "print(peak_resident_bytes())",
        "forget_peak()",
        "print(peak_resident_bytes())",
    ]
    script = "\n".join(lines)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    if told[0] == "0":
        pytest.skip("this kernel does not let a process forget its peak")
    before, peak, after = map(int, told[1:])
    assert peak - before > 70_000_000
    assert peak - after > 70_000_000


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells it of another process")
def test_the_peak_of_a_child_is_told_while_it_lives():
    command = [sys.executable, "-c", "input(print('there', flush=True) or '')"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"  # before that it may not be more than a fork
        alive = peak_resident_bytes(child.pid)
        child.communicate(b"\n")
    assert alive is not None
    assert alive > 1_000_000
    assert peak_resident_bytes(child.pid) is None
