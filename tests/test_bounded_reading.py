from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantize.bounded_reading import read_bounded
from quantize.config import load_config
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.errors import QuantizeError
from quantize.packages.build import licence_of
from quantize.prediction.predict import pictures


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert read_bounded(path, 100) == b"x" * 100
    with pytest.raises(OSError, match="larger than 99 bytes"):
        read_bounded(path, 99)
    with pytest.raises(IsADirectoryError):
        read_bounded(tmp_path, 99)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_what_never_ends_is_refused_in_a_folder_of_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for place in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(OSError, match="a pipe, a device or a socket"):
            read_bounded(place, 100, regular=True)
    with pytest.raises(OSError, match="larger than"):
        read_bounded(Path("/dev/zero"), 1000)


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="no /dev/zero on this system")
def test_whatever_a_command_is_given_is_read_up_to_a_bound() -> None:
    endless = Path("/dev/zero")
    for read in (
        lambda: load_config(endless, {}),
        lambda: LatencyTable.load(endless, "model"),
        lambda: licence_of("mine", endless),
        lambda: pictures([str(endless)], lambda: b"")[0].read(),
    ):
        with pytest.raises((OSError, QuantizeError), match="large"):
            read()
