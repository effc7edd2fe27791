"""What the check of every layer takes of a model whose weights are most of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.one_product import one_product

_CHECKED = """
import sys, threading, time
from pathlib import Path
from tempfile import TemporaryDirectory
import numpy as np
import onnx
from quantize.calibration.collect import collect
from quantize.data.batches import Batch
from quantize.engines.native.builder.builder import NativeBuilder
from quantize.evaluation.layer_check import check_layers
from quantize.processes.memory import give_back_unused, keep_little_unused
from quantize.recipe import Recipe

images = [Batch(("a",), np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32), None)]

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)

def built(path):
    model = onnx.load(path)
    with TemporaryDirectory() as folder:
        return NativeBuilder(Path(folder)).graph(model, Recipe(engine="native"), collect(model, images))

def checked(path, quantized):
    found = check_layers(lambda: onnx.load(path), {"qdq": quantized}, images)
    assert [finding.layer for finding in found["qdq"]] and not any(finding.wrong for finding in found["qdq"])

def watched():
    while True:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.001)

keep_little_unused()
checked(sys.argv[1], built(sys.argv[1]))  # what is loaded and kept for the first model is no copy of its weights
quantized = built(sys.argv[2])
give_back_unused()
before, peak = anonymous(), [0]
threading.Thread(target=watched, daemon=True).start()
checked(sys.argv[2], quantized)
print(before, peak[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory is a process's own")
def test_it_takes_less_than_three_times_the_model(tmp_path: Path) -> None:
    small, large = one_product(tmp_path / "small.onnx", 10), one_product(tmp_path / "large.onnx", 6000)
    # In a process of its own, because memory that other tests free here would count as well.
    run = subprocess.run([sys.executable, "-c", _CHECKED, small, large], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    before, peak = map(int, run.stdout.split())
    if not before:
        pytest.skip("this kernel does not tell")
    assert peak - before < 3 * large.stat().st_size
