"""Rounded weights are kept in a file without a name, and in memory where there is no room for one."""

from __future__ import annotations

import errno
import tempfile
from io import FileIO

import numpy as np
import pytest

from quantize.engines.native.builder.kept_levels import KeptLevels

FIRST, SECOND = np.arange(-6, 6, dtype=np.int8).reshape(3, 4), np.full((2, 2), 127, np.int8)


def test_what_was_kept_is_read_again(tmp_path):
    kept = KeptLevels(tmp_path / "made" / "when needed")
    assert kept.of("a") is None
    kept.keep("a", FIRST)
    kept.keep("b", SECOND)
    assert np.array_equal(kept.of("a"), FIRST)
    assert np.array_equal(kept.of("b"), SECOND)
    assert kept.of("c") is None
    assert len(kept) == 2


def test_no_file_is_left_to_be_found(tmp_path):
    kept = KeptLevels(tmp_path)
    kept.keep("a", FIRST)
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_they_are_kept_in_memory():
    kept = KeptLevels()
    kept.keep("a", FIRST)
    assert kept.of("a") is FIRST


def test_where_no_file_can_be_made_they_are_kept_in_memory(tmp_path, monkeypatch):
    def refused(**_):
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    kept = KeptLevels(tmp_path)
    kept.keep("a", FIRST)
    assert kept.of("a") is FIRST


@pytest.mark.parametrize("written", [0, 5])
def test_what_does_not_fit_into_the_file_is_kept_in_memory(tmp_path, monkeypatch, written):
    class Full(FileIO):
        def write(self, content):
            if len(content) == FIRST.size:
                return super().write(content[:written]) or self._refuse()
            return super().write(content) if len(content) == SECOND.size else self._refuse()

        def _refuse(self):
            raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full(tmp_path / "file", "w+"))
    kept = KeptLevels(tmp_path)
    kept.keep("a", FIRST)
    kept.keep("b", SECOND)
    assert kept.of("a") is FIRST
    assert np.array_equal(kept.of("b"), SECOND)
