from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from quantize.errors import EngineError
from quantize.run.request import TuneRequest
from quantize.run.tune import tune
from tests.run.conftest import Configured


def test_without_neural_compressor_nothing_is_begun_and_the_extra_is_named(
    colour_model: Path, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "neural_compressor" else find_spec(name)
    )
    config = configured({"tuning.engine": "inc"})
    with pytest.raises(EngineError, match=r"quantize\[inc\]"):
        tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []
