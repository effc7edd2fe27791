"""How often a model's weights lie in memory while it is prepared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.one_product import one_product

_SCRIPT = """
import sys
from pathlib import Path
from quantize.models.prepare import clean_form
from quantize.processes.memory import forget_peak, keep_little_unused, peak_resident_bytes
keep_little_unused()
clean_form(Path(sys.argv[1]))  # what is loaded and kept for the first model is no copy of its weights
print(int(forget_peak()), peak_resident_bytes())
clean_form(Path(sys.argv[2]))
print(peak_resident_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the largest memory of a process, and forgets it")
def test_a_large_models_weights_lie_in_memory_little_more_than_four_times_at_once(tmp_path: Path) -> None:
    # In a process of its own, because memory that other tests free here would count as well.
    small, large = one_product(tmp_path / "small.onnx", 16), one_product(tmp_path / "large.onnx", 8192)
    command = [sys.executable, "-c", _SCRIPT, str(small), str(large)]
    forgets, before, peak = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    if not forgets:
        pytest.skip("this kernel does not let a process forget its peak")
    assert 1.0 < (peak - before) / large.stat().st_size < 4.5
