from __future__ import annotations

from pathlib import Path

import pytest

from tests.three_colours import write_colours


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model that classifies colours, thirty pictures and their labels, as the working directory."""
    write_colours(tmp_path)
    (tmp_path / "tolerances.yaml").write_text("version: 1\nagainst_fp32:\n  agreement: { at_least: 0.9 }\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path
