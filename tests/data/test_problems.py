from __future__ import annotations

import pytest

from quantize.data.problems import Problems
from quantize.errors import DataError


def test_of_very_many_problems_the_first_are_shown_and_the_memory_is_that_of_a_few() -> None:
    problems = Problems()
    for order in reversed(range(5000)):
        problems.add(order, f"list:{order}", "no label")
        assert len(problems._first) <= 1000
    assert len(problems) == 5000
    with pytest.raises(DataError, match="5,000 problems in list") as caught:
        problems.raise_any("list")
    listed = str(caught.value.found).split("; ")
    assert listed == [*(f"list:{order}: no label" for order in range(10)), "and 4,990 more"]
