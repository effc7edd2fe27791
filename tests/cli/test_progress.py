from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress as Bars

from quantize.cli.progress import ProgressBars, ProgressLines, bars_on
from quantize.progress import ENDED, WHOLE_RUN


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _lines(*steps: tuple[float, str, int, int | None]) -> list[str]:
    clock, written = _Clock(), list[str]()
    progress = ProgressLines(written.append, clock)
    for seconds, stage, done, total in steps:
        clock.now += seconds
        progress(stage, done, total)
    return written


def test_a_short_stage_leaves_no_line() -> None:
    assert _lines((0, "decode", 0, 10), (1.0, "decode", 5, 10), (0.9, "decode", 10, 10)) == []


def test_a_long_stage_reports_every_few_seconds_and_at_the_end() -> None:
    assert _lines(
        (0, "decode", 0, 400),
        (3.0, "decode", 100, 400),
        (3.0, "decode", 200, 400),
        (0.1, "decode", 201, 400),
        (5.9, "decode", 400, 400),
    ) == ["decode: 200 of 400 (50 %), about 6.0 s left", "decode: 400 done in 12.0 s"]


def test_a_stage_without_a_known_end_reports_what_is_done() -> None:
    assert _lines((0, "search", 0, None), (70.0, "search", 3, None)) == ["search: 3 done after 1 min 10 s"]


def test_a_stage_that_begins_again_is_a_new_one() -> None:
    lines = _lines((0, "evaluate", 0, 2), (3, "evaluate", 2, 2), (100, "evaluate", 0, 2), (4, "evaluate", 2, 2))
    assert lines == ["evaluate: 2 done in 3.0 s", "evaluate: 2 done in 4.0 s"]


def test_a_stage_without_a_known_end_that_begins_again_is_a_new_one() -> None:
    lines = _lines((0, "look", 1, None), (1, "look", 9, None), (100, "look", 1, None), (6, "look", 2, None))
    assert lines == ["look: 2 done after 6.0 s"]


def test_hours_are_shown_as_hours() -> None:
    assert _lines((0, "tune", 1, None), (7260, "tune", 2, None)) == ["tune: 2 done after 2 h 01 min"]


def test_control_characters_in_a_name_are_shown_not_obeyed() -> None:
    assert _lines((0, "\x1b[2Jx", 0, 1), (3, "\x1b[2Jx", 1, 1)) == ["\\x1b[2Jx: done in 3.0 s"]


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), max_size=60))
def test_lines_are_never_closer_than_a_few_seconds(steps: list[tuple[float, int]]) -> None:
    lines = _lines(*((seconds, "stage", done, 100) for seconds, done in steps))
    assert len(lines) <= sum(seconds for seconds, _ in steps) / 5.0


def _bars() -> tuple[ProgressBars, io.StringIO, _Clock]:
    written, clock = io.StringIO(), _Clock()
    console = Console(file=written, force_terminal=True, width=80, highlight=False)
    return ProgressBars(Bars(console=console, auto_refresh=False), clock), written, clock


def test_a_bar_goes_when_its_stage_is_done() -> None:
    progress, _, _ = _bars()
    progress("decode", 1, 2)
    assert [task.description for task in progress.bars.tasks] == ["decode"]
    progress("decode", 2, 2)
    assert progress.bars.tasks == []


def test_a_bar_goes_with_the_stage_within_which_it_began() -> None:
    progress, _, _ = _bars()
    progress("decode", 1, 2)
    progress("tune", 0, None)
    progress(WHOLE_RUN, 10, 60)
    progress("search", 3, 100)
    progress("tune", 1, 1)
    assert [task.description for task in progress.bars.tasks] == ["decode", WHOLE_RUN]


def test_a_long_stage_leaves_a_line_behind_its_bar() -> None:
    progress, written, clock = _bars()
    progress("decode", 0, 2)
    clock.now += 2.5
    progress("decode", 2, 2)
    assert "decode: 2 done in 2.5 s" in written.getvalue()


def test_a_total_may_become_known_later() -> None:
    progress, _, _ = _bars()
    progress("search", 1, None)
    progress("search", 2, 8)
    assert progress.bars.tasks[0].total == 8


def test_a_bar_without_a_known_end_begins_again_with_its_stage() -> None:
    progress, _, clock = _bars()
    progress("look", 1, None)
    progress("look", 9, None)
    clock.now += 100
    progress("look", 1, None)
    assert [(task.completed, task.description) for task in progress.bars.tasks] == [(1, "look")]


def test_every_line_says_what_is_left_of_the_whole_run() -> None:
    lines = _lines((0, "decode", 0, 400), (0, WHOLE_RUN, 0, 600), (6.0, "decode", 100, 400), (30.0, "decode", 400, 400))
    assert lines == [
        "decode: 100 of 400 (25 %), about 18.0 s left; about 9 min 50 s of the whole run left",
        "decode: 400 done in 36.0 s; about 9 min 20 s of the whole run left",
    ]


def test_silence_is_broken_while_nothing_reports_progress() -> None:
    clock, written = _Clock(), list[str]()
    progress = ProgressLines(written.append, clock)
    for second in range(30):
        if second == 10:
            progress("search", 0, None)
        clock.now += 1
        progress.break_silence()
    assert written == ["at work", "search: at work", "search: at work"]


def test_a_run_that_takes_longer_than_expected_promises_nothing() -> None:
    lines = _lines((0, "tune", 1, None), (0, WHOLE_RUN, 0, 10), (60, "tune", 2, None))
    assert lines == ["tune: 2 done after 1 min 00 s"]


def test_a_stage_of_the_run_ends_with_what_it_took_whatever_went_on_within_it() -> None:
    clock, written = _Clock(), list[str]()
    progress = ProgressLines(written.append, clock)
    for seconds, stage, done, total in (
        (0, "tune", 0, None),
        (1, "search", 1, None),
        (3, "tune", *ENDED),
        (0, "benchmark", 0, None),
        (0, "benchmark", 9, 25),
    ):
        clock.now += seconds
        progress(stage, done, total)
    assert written == ["tune: done in 4.0 s"]
    clock.now += 8
    progress.break_silence()
    assert written[1:] == ["benchmark: 9 of 25 (36 %), about 14.2 s left"]
    progress("benchmark", *ENDED)
    assert written[2:] == ["benchmark: done in 8.0 s"]


def test_silence_is_broken_by_what_is_known_of_the_work_and_not_by_what_is_over() -> None:
    clock, written = _Clock(), list[str]()
    progress = ProgressLines(written.append, clock)
    for step in (("tune", 0, None), ("evaluate", 0, 400), ("evaluate", 400, 400)):
        progress(*step)
    clock.now += 9
    progress.break_silence()
    assert written == ["tune: at work"]


def test_bars_of_stages_with_long_names_are_a_line_each_in_80_columns() -> None:
    written = io.StringIO()
    clock = _Clock()
    console = Console(file=written, width=80, force_terminal=True)
    bars = bars_on(console, clock)
    progress = ProgressBars(bars, clock)
    for done in (1, 2, 3):
        progress(WHOLE_RUN, done * 10, 144)
        progress("correct the scores, and check every layer", done, 20)
        clock.now += 7.0
    drawn = io.StringIO()
    Console(file=drawn, width=80).print(bars.get_renderable())
    lines = [line.rstrip() for line in drawn.getvalue().splitlines() if line.strip()]
    assert len(lines) == 2
    assert all(line.endswith(" left") for line in lines)
    assert any(" 3/20 " in line for line in lines)


def test_a_run_never_has_less_left_than_its_stage() -> None:
    lines = _lines((0, WHOLE_RUN, 0, 60), (0, "rewrites", 0, 13), (20, "rewrites", 2, 13), (10, "rewrites", 13, 13))
    assert lines == [
        "rewrites: 2 of 13 (15 %), about 1 min 50 s left; about 1 min 50 s of the whole run left",
        "rewrites: 13 done in 30.0 s; about 30 s of the whole run left",
    ]


def test_silence_is_broken_by_a_run_that_never_has_less_left_than_its_stage() -> None:
    clock, written = _Clock(), list[str]()
    progress = ProgressLines(written.append, clock)
    progress(WHOLE_RUN, 0, 30)
    progress("profile", 0, 10)
    clock.now += 4
    progress("profile", 1, 10)
    clock.now += 6
    progress.break_silence()
    assert written == ["profile: 1 of 10 (10 %), about 1 min 30 s left; about 1 min 30 s of the whole run left"]


def test_between_stages_silence_is_broken_by_the_stage_that_it_comes_after() -> None:
    clock, written = _Clock(), list[str]()
    progress = ProgressLines(written.append, clock)
    progress(WHOLE_RUN, 0, 30)
    progress("tune", 0, None)
    progress("tune", *ENDED)
    clock.now += 9
    progress.break_silence()
    assert written == ["after tune: at work; about 20 s of the whole run left"]
