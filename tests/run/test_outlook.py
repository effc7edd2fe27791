"""What a run says of the time that it will still take."""

from __future__ import annotations

import pytest

from quantize.progress import WHOLE_RUN
from quantize.run.outlook import Outlook


class _Run:
    """A run on a clock that the test moves, and the last that it told of the whole."""

    def __init__(self, images: int = 50_000) -> None:
        self.now, self.whole, self.others = 0.0, (0, 0), list[str]()
        self.outlook = Outlook(self._progress, lambda: self.now)
        self.outlook.expect(images=images, cores=2, most_search=1800.0, benchmark=120.0)

    def _progress(self, stage: str, done: int, total: int | None) -> None:
        if stage == WHOLE_RUN:
            assert total is not None
            self.whole = (done, total)
        else:
            self.others.append(stage)

    @property
    def left(self) -> int:
        """Return the seconds that are left."""
        return self.whole[1] - self.whole[0]


def test_nothing_is_said_before_anything_is_known() -> None:
    run = _Run()
    run.outlook("read", 1, 2)
    assert (run.whole, run.others) == ((0, 0), ["read"])


def test_what_is_left_falls_as_the_images_go_by_at_the_time_that_was_expected() -> None:
    run = _Run()
    run.outlook.expect_fp32(6.25e6)  # 10 ms on a core with all that a model does besides
    run.outlook.begin("decode the images")
    run.outlook.expect_unseen(15_000)
    first = run.left
    run.outlook.begin("evaluate fp32")
    before = run.left
    run.now = 87.5  # half of 35,000 images of 5 ms each
    run.outlook("evaluate", 1000, 2000)
    assert before - run.left == pytest.approx(87.5, abs=2)
    assert first - before == pytest.approx(125, abs=2)  # decoding was expected to take that


def test_a_model_that_is_slower_than_expected_makes_all_that_follows_longer() -> None:
    run = _Run()
    run.outlook.expect_fp32(6.25e6)
    run.outlook.begin("evaluate fp32")
    before = run.left
    run.now = 500.0
    run.outlook("evaluate", 1000, 2000)  # twice as slow
    assert run.left > 1.5 * before


def test_a_search_is_expected_to_take_its_time_budget_at_most() -> None:
    run = _Run()
    run.outlook.expect_fp32(1e9)
    run.outlook.begin("tune")
    searching = run.left
    run.outlook.begin("rewrite, and write both formats")
    assert searching - run.left == pytest.approx(1800, abs=2)


def test_a_part_that_takes_longer_than_expected_is_never_over_by_the_clock() -> None:
    run = _Run(500)
    run.outlook.expect_fp32(1e6)
    run.outlook.begin("benchmark")
    run.now = 100_000.0
    run.outlook("benchmark", 1, None)
    assert run.left > 1000
