from __future__ import annotations

import sys

import numpy as np
import pytest

from quantize.processes.address_space import allocating_at_most

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bound is Linux's")


def test_memory_beyond_the_bound_is_not_given_and_within_it_is() -> None:
    with allocating_at_most(1 << 28):
        np.empty(1 << 26, np.uint8)
        with pytest.raises(MemoryError):
            np.empty(1 << 30, np.uint8)
    np.empty(1 << 30, np.uint8)  # the bound ends with the block


def test_an_inner_bound_that_is_wider_changes_nothing() -> None:
    with allocating_at_most(1 << 28), allocating_at_most(1 << 40), pytest.raises(MemoryError):
        np.empty(1 << 30, np.uint8)
