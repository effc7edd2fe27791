from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.models.catalog.hdf5 import read_arrays

FIXTURES = Path(__file__).parent / "fixtures"
"""Written by h5py 3.16: keras.h5 with its defaults, the others as the tests say."""

KERAS = (FIXTURES / "keras.h5").read_bytes()


def test_arrays_are_read_by_their_path() -> None:
    arrays = read_arrays(KERAS)
    assert np.array_equal(arrays["conv1/conv1_W:0"], np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2))
    assert np.array_equal(arrays["conv1/conv1_b:0"], np.array([0.5, -1.25], dtype=np.float32))


def test_a_group_of_many_arrays_and_a_lone_number_are_read() -> None:
    arrays = read_arrays(KERAS)
    assert [float(arrays[f"many/{number:02d}"][0]) for number in range(40)] == list(range(40))
    assert (arrays["scalar"].shape, float(arrays["scalar"])) == ((), 7.0)
    assert len(arrays) == 43


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("packed.h5", "x: no array of float32 in one piece"),
        ("double.h5", "x: no array of float32 in one piece"),
        ("new.h5", "superblock of version 0"),
    ],
    ids=["compressed", "another type", "the newest format"],
)
def test_what_it_does_not_know_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_arrays((FIXTURES / name).read_bytes())


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_hdf5_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no HDF5 file"):
        read_arrays(content)


@given(kept=st.integers(0, len(KERAS) - 1))
@settings(max_examples=60)
def test_a_cut_off_file_is_refused_or_read_in_full(kept: int) -> None:
    with suppress(ValueError):
        assert len(read_arrays(KERAS[:kept])) == 43
