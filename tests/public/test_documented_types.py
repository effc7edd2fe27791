from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def test_the_examples_for_python_have_the_types_that_the_functions_take(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    examples = re.findall(r"```python\n(.*?)```", (_ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for number, example in enumerate(examples):
        (tmp_path / f"example_{number}.py").write_text(example, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(tmp_path)]
    checked = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
