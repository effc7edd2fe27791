from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.engines.native.search.journal import Journal
from quantize.errors import RunError

CONFIGURATION = {"model": "abc", "trials": 5}


def compute(calls, value):
    def computed():
        calls.append(value)
        return value

    return computed


def test_a_finished_step_is_not_done_again(tmp_path):
    calls = []
    first = Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    assert first.step("a", compute(calls, 1)) == 1
    assert first.step("a", compute(calls, 2)) == 1
    again = Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=True)
    assert again.finished("a")
    assert again.step("a", compute(calls, 3)) == 1
    assert calls == [1]


def test_a_step_is_on_the_disk_before_the_next_begins(tmp_path):
    path = tmp_path / "trials.jsonl"
    journal = Journal(path, CONFIGURATION, resume=False)
    journal.step("a", lambda: {"x": 1.5})

    def seen():
        assert json.loads(path.read_text().splitlines()[-1]) == {"step": "a", "result": {"x": 1.5}}
        return 0

    journal.step("b", seen)


@given(st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_wherever_a_kill_cuts_the_file_whole_steps_stand_and_the_rest_is_done_again(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "trials.jsonl"
    journal = Journal(path, CONFIGURATION, resume=False)
    for number in range(4):
        journal.step(f"step {number}", lambda number=number: number)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole))])
    kept = whole[: min(cut, len(whole))].count(b"\n") - 1
    calls = []
    resumed = Journal(path, CONFIGURATION, resume=True)
    for number in range(4):
        assert resumed.step(f"step {number}", compute(calls, number)) == number
    assert calls == list(range(max(kept, 0), 4))
    assert path.read_bytes() == whole


def test_a_journal_of_another_configuration_is_refused_and_the_difference_named(tmp_path):
    Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    with pytest.raises(RunError, match="another configuration") as refused:
        Journal(tmp_path / "trials.jsonl", CONFIGURATION | {"trials": 6}, resume=True)
    assert "trials: 5, now 6" in str(refused.value)


def test_a_journal_in_the_way_is_not_written_over(tmp_path):
    Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    with pytest.raises(RunError, match="already"):
        Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)


def test_a_damaged_line_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "trials.jsonl"
    journal = Journal(path, CONFIGURATION, resume=False)
    journal.step("a", lambda: 1)
    path.write_bytes(path.read_bytes().replace(b'"step"', b'"st', 1) + b'{"step": "b", "result": 1}\n')
    with pytest.raises(RunError, match="damaged"):
        Journal(path, CONFIGURATION, resume=True)


def test_a_result_that_is_no_number_is_a_bug(tmp_path):
    journal = Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    with pytest.raises(ValueError, match="JSON"):
        journal.step("a", lambda: float("nan"))


def test_the_journal_of_an_earlier_version_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "trials.jsonl"
    Journal(path, CONFIGURATION, resume=False).step("a", lambda: 1)
    lines = path.read_text().splitlines()
    header = json.loads(lines[0])
    path.write_text("\n".join([json.dumps({**header, "journal": 1}), *lines[1:]]) + "\n")
    with pytest.raises(RunError, match="another version of quantize began this run") as raised:
        Journal(path, CONFIGURATION, resume=True)
    assert "--overwrite" in str(raised.value)
