from __future__ import annotations

import errno
from pathlib import Path

import pytest

from quantize import disk
from quantize.errors import StorageError
from quantize.processes.refusal import raise_refusal, refusal_of


def test_what_the_system_refused_to_a_child_is_told_with_its_file(tmp_path: Path) -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "model.onnx")
        except OSError as error:
            raise RuntimeError("quantizer") from error
    except RuntimeError as error:
        refused = refusal_of(error)
    with pytest.raises(StorageError, match="the disk is full") as caught:
        raise_refusal(refused, tmp_path)
    assert caught.value.where == "model.onnx"


def test_a_refusal_without_a_file_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        raise_refusal(refusal_of(OSError(errno.EIO, "Input/output error")), tmp_path)
    assert caught.value.where == str(tmp_path)


@pytest.mark.parametrize("error", [ValueError("a shape"), FileNotFoundError(errno.ENOENT, "no file"), MemoryError()])
def test_a_failure_of_what_the_child_ran_is_none_of_it(error: Exception, tmp_path: Path) -> None:
    assert refusal_of(error) is None
    raise_refusal(None, tmp_path)


def test_where_the_disk_is_full_that_is_told_whatever_the_child_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _: 0)
    with pytest.raises(StorageError, match="the disk is full"):
        raise_refusal(None, tmp_path)
