from __future__ import annotations

from pathlib import Path

import pytest

from quantize.errors import RunError
from quantize.files import remove_if_empty, write_text


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "report.md", "first")
    write_text(tmp_path / "deep" / "report.md", "second")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.md"]
    assert (tmp_path / "deep" / "report.md").read_text() == "second"


def test_only_an_empty_folder_is_removed(tmp_path: Path) -> None:
    write_text(tmp_path / "kept" / "mine.txt", "mine")
    (tmp_path / "empty").mkdir()
    for name in ("kept", "empty", "never there"):
        remove_if_empty(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that makes no folders")
def test_a_place_where_no_folder_can_be_made_is_named() -> None:
    with pytest.raises(RunError, match="no folder can be made there") as caught:
        write_text(Path("/proc/run/report.md"), "")
    assert caught.value.where == "/proc/run"
