from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest

from quantize.commands.settings import PreprocessingSettings, Settings, configured
from quantize.config.schema import settings
from quantize.errors import ConfigError


def test_every_setting_is_a_typed_keyword() -> None:
    assert set(Settings.__annotations__) | set(PreprocessingSettings.__annotations__) == {
        setting.flag for setting in settings()
    }
    assert set(get_type_hints(PreprocessingSettings)) == {
        setting.flag for setting in settings() if setting.key.startswith("preprocessing.")
    }


def test_keywords_win_over_the_file_and_are_read_as_in_it(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("tuning: {accuracy_criterion: {relative: 0.02}, random_seed: 7}\n")
    config = configured(file, {"relative": 0.01, "mean": (1, 2, 3), "data_path": tmp_path, "preset": None})
    assert config.tuning.accuracy_criterion.relative == 0.01
    assert config.tuning.random_seed == 7
    assert config.preprocessing.mean == (1, 2, 3)
    assert config.data.path == tmp_path


def test_a_misspelt_keyword_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean sampling_size"):
        configured(None, {"sampling": 4})
