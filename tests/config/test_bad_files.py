"""Each file in ``bad/`` is refused with the message in ``golden/``; QUANTIZE_UPDATE_GOLDEN=1 rewrites them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantize.config import load_config
from quantize.errors import ConfigError

_HERE = Path(__file__).parent
_BAD = sorted(path.name for path in (_HERE / "bad").glob("*.yaml"))


@pytest.mark.parametrize("name", _BAD)
def test_a_bad_file_is_refused_with_its_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_HERE / "bad")
    with pytest.raises(ConfigError) as caught:
        load_config(Path(name), {}, cores=4)
    message = f"{caught.value}\n"
    golden = _HERE / "golden" / f"{Path(name).stem}.txt"
    if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
        golden.write_text(message, encoding="utf-8")
    assert message == golden.read_text(encoding="utf-8")
    assert name in message
    assert "Traceback" not in message


def test_every_message_belongs_to_a_file() -> None:
    messages = {path.stem for path in (_HERE / "golden").glob("*.txt")}
    assert messages == {Path(name).stem for name in _BAD}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        load_config(tmp_path / "none.yaml", {})
    assert caught.value.where == str(tmp_path / "none.yaml")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a folder, not a file"):
        load_config(tmp_path, {})


def test_a_file_of_two_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="too large"):
        load_config(path, {})


def test_a_byte_order_mark_and_windows_line_ends_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes("\ufefftuning:\r\n  random_seed: 7\r\n".encode())
    assert load_config(path, {}).tuning.random_seed == 7
