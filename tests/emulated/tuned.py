"""One small `quantize tune --engine native`, here and on an emulated CPU, by the same recorded latencies."""

from __future__ import annotations

import subprocess
from pathlib import Path

from quantize.report.storage import read_report
from quantize.target import CPU_CLASSES, CpuClass
from tests.emulated.small_network import PIXELS, PRESET, SmallNetwork

_CLASS = "from quantize.measurement.machine.cpu_class import this_cpu_class; print(this_cpu_class())"


def class_of(python: Path) -> CpuClass:
    """Return the class of the CPU that a Python runs on."""
    said = subprocess.run([python, "-c", _CLASS], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return next(known for known in CPU_CLASSES if known == said)


def tune(
    python: Path, network: SmallNetwork, run: Path, *, target: CpuClass | None = None, recorded: Path | None = None
) -> Path:
    """Tune the small network and return the run's folder.

    Args:
        python: What runs it; the processes that it starts are started by the same.
        network: What to tune, with 20 images to calibrate with and 20 to judge by.
        run: Where to write.
        target: None: that of the CPU, which must be what the run resolves.
        recorded: An earlier run whose latencies are taken instead of measured.
    """
    words: dict[str, object] = {
        "engine": "native",
        "input_model": network.model,
        "data_path": network.images,
        "label_path": network.labels,
        "calibration_list": network.calibration,
        "preset": PRESET,
        "resize": PIXELS,
        "crop": PIXELS,
        "output_model": run,
        "iteration": 10,
        "max_seconds": 30,
        "min_speedup": 0,  # emulated times say nothing
    }
    if target is not None:
        words["target"] = target
    if recorded is not None:
        words["latency_table"] = recorded / "latency_table.json"
    flags = [f"--{name}={value}" for name, value in words.items()]
    subprocess.run([python, "-m", "quantize", "tune", "--overwrite", *flags], check=True)
    resolved = read_report(run / "report.json").chosen.target
    expected = target or class_of(python)
    assert resolved == expected, f"the run in {run} is for {resolved}, not for {expected}"
    return run


def same_decisions(here: Path, there: Path) -> str:
    """Return a sentence on how far two runs agree in what they built."""
    first, second = (read_report(run / "report.json").chosen.recipe for run in (here, there))
    files = [
        (model.name, model.read_bytes() == (there / model.name).read_bytes()) for model in sorted(here.glob("*.onnx"))
    ]
    decisions = "the same decisions" if first == second else "other decisions"
    return f"{decisions}; the same bytes: {', '.join(f'{name} {same}' for name, same in files)}"
