from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantize.grid.parts import in_parts


@given(st.integers(0, 9), st.integers(0, 7), st.integers(1, 40))
def test_parts_follow_one_another_and_hold_no_more_than_asked_or_one_entry(entries, each, most):
    values = np.arange(entries * each).reshape(entries, each)
    parts = [values[part] for part in in_parts(values, most)]
    assert np.array_equal(np.concatenate([values[:0], *parts]), values)
    assert all(part.size <= most or len(part) == 1 for part in parts)
