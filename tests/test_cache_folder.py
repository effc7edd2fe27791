from __future__ import annotations

from pathlib import Path

import pytest

from quantize.cache_folder import user_cache


def test_the_variable_names_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path / "mine"))
    assert user_cache() == tmp_path / "mine"


@pytest.mark.parametrize("value", [None, ""])
def test_without_it_the_users_own_cache_folder_is_taken(monkeypatch: pytest.MonkeyPatch, value: str | None):
    if value is None:
        monkeypatch.delenv("QUANTIZE_CACHE", raising=False)
    else:
        monkeypatch.setenv("QUANTIZE_CACHE", value)
    assert user_cache().name == "quantize"
