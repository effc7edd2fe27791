from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def test_the_examples_for_python_have_the_types_that_the_functions_take(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    found = set()
    for page in sorted((_ROOT / "docs").rglob("*.md")):
        examples = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        for number, example in enumerate(examples):
            if re.search(r"^(?:import|from) quantize\b", example, re.MULTILINE):
                (tmp_path / f"{page.stem}_{number}.py").write_text(example, encoding="utf-8")
                found.add(page.stem)
    assert {"python", "tutorial"} <= found
    # Silent imports: `make check` holds the package itself to the types, those of the numpy that is pinned for it.
    options = ["--strict", "--follow-imports", "silent", "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", *options, str(tmp_path)]
    checked = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
