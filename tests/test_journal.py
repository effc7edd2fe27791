from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.errors import RunError
from quantize.journal import Journal, recorded_request

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
        line = json.loads(path.read_text().splitlines()[-1])
        assert (line["step"], line["result"]) == ("a", {"x": 1.5})
        return 0

    journal.step("b", seen)


def test_a_step_is_found_by_what_it_was_computed_from(tmp_path):
    calls = []
    journal = Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    assert journal.step("latency", compute(calls, 1), ["one graph"]) == 1
    assert journal.step("latency", compute(calls, 2), ["another graph"]) == 2
    assert journal.step("latency", compute(calls, 3), ["one graph"]) == 1
    part = journal.part("search", {"goal": 0.9})
    assert part.step("latency", compute(calls, 4), ["one graph"]) == 4
    assert journal.part("search", {"goal": 0.8}).step("latency", compute(calls, 5), ["one graph"]) == 5
    again = Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=True)
    assert again.part("search", {"goal": 0.9}).finished("latency", ["one graph"])
    assert not again.part("search", {"goal": 0.7}).finished("latency", ["one graph"])
    assert again.values("search: ") == again.part("search", None).values("") == [4, 5]
    assert calls == [1, 2, 4, 5]


@given(st.integers(0, 700))
@settings(max_examples=60, deadline=None)
def test_wherever_a_kill_cuts_the_file_whole_steps_are_kept_and_the_rest_is_done_again(tmp_path_factory, cut):
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


DAMAGES = {
    "another value": lambda line: line.replace(b'"result": 1', b'"result": 7'),
    "no JSON": lambda line: line.replace(b'"step"', b'"st', 1),
    "no object": lambda _: b"[1, 2]\n",
    "no text": lambda _: b"\xff\x00\n",
    "nested too deeply": lambda _: b"[" * 100_000 + b"\n",
    "of no step": lambda _: b'{"checksum": "ca3d163bab055381"}\n',
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_and_what_follows_it_is_computed_again(tmp_path, caplog, damage):
    path = tmp_path / "trials.jsonl"
    journal = Journal(path, CONFIGURATION, resume=False)
    for number in range(4):
        journal.step(f"step {number}", lambda number=number: number)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[2] = DAMAGES[damage](lines[2])
    path.write_bytes(b"".join(lines))
    calls = []
    resumed = Journal(path, CONFIGURATION, resume=True)
    assert [resumed.step(f"step {number}", compute(calls, number)) for number in range(4)] == [0, 1, 2, 3]
    assert calls == [1, 2, 3]
    assert path.read_bytes() == whole
    assert "line 3 is damaged" in caplog.text


def test_a_journal_whose_header_is_damaged_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "trials.jsonl"
    Journal(path, CONFIGURATION, resume=False).step("a", lambda: 1)
    path.write_bytes(path.read_bytes().replace(b'"trials": 5', b'"trials": 6'))
    for opened in (lambda: Journal(path, CONFIGURATION, resume=True), lambda: recorded_request(path)):
        with pytest.raises(RunError, match="the journal is damaged") as refused:
            opened()
        assert "--overwrite" in str(refused.value)


def test_a_journal_of_another_configuration_is_refused_and_the_difference_named(tmp_path):
    Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    with pytest.raises(RunError, match="another configuration") as refused:
        Journal(tmp_path / "trials.jsonl", CONFIGURATION | {"trials": 6}, resume=True)
    assert "trials: 5, now 6" in str(refused.value)


def test_a_journal_in_the_way_is_not_written_over(tmp_path):
    Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    with pytest.raises(RunError, match="already"):
        Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)


def test_a_result_that_is_no_number_is_a_bug(tmp_path):
    journal = Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=False)
    with pytest.raises(ValueError, match="JSON"):
        journal.step("a", lambda: float("nan"))


@pytest.mark.parametrize(("version", "which"), [(1, "an earlier"), (2, "an earlier"), (4, "another")])
def test_the_journal_of_another_version_is_refused_with_what_to_do(tmp_path, version, which):
    path = tmp_path / "trials.jsonl"
    Journal(path, CONFIGURATION, resume=False).step("a", lambda: 1)
    lines = path.read_text().splitlines()
    header = json.loads(lines[0])
    path.write_text("\n".join([json.dumps({**header, "journal": version}), *lines[1:]]) + "\n")
    with pytest.raises(RunError, match=f"{which} version of quantize began this run") as raised:
        Journal(path, CONFIGURATION, resume=True)
    assert "--overwrite" in str(raised.value)


def test_what_the_run_was_asked_stays_as_it_was_asked_first(tmp_path):
    path = tmp_path / "trials.jsonl"
    Journal(path, CONFIGURATION, resume=False, request={"target": "vnni"})
    Journal(path, CONFIGURATION, resume=True, request={"target": "avx2"})
    assert recorded_request(path) == {"target": "vnni"}


def test_a_journal_that_a_kill_cut_short_in_its_header_was_not_begun(tmp_path):
    path = tmp_path / "trials.jsonl"
    Journal(path, CONFIGURATION, resume=False, request={"target": "vnni"})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileNotFoundError):
        recorded_request(path)


def forged(path, *entries):
    """Write lines whose checksums hold, as whoever gives away a run's folder can."""
    from quantize.journal import _checksum, _line

    path.write_bytes(b"".join(_line({**entry, "checksum": _checksum(entry)}) for entry in entries))


@pytest.mark.parametrize("value", [None, 5, "text", [1], {"a": "b"}, {"a": 1.5, "b": None}, True])
def test_a_forged_value_of_another_form_is_computed_again(tmp_path, value):
    path = tmp_path / "trials.jsonl"
    Journal(path, CONFIGURATION, resume=False).step("a", lambda: value)
    calls = []
    resumed = Journal(path, CONFIGURATION, resume=True)
    assert resumed.values("a", kind=dict[str, float]) == []
    assert resumed.value("a", kind=dict[str, float]) is None
    assert resumed.step("a", compute(calls, {"a": 2.0}), kind=dict[str, float]) == {"a": 2.0}
    assert Journal(path, CONFIGURATION, resume=True).step("a", compute(calls, {}), kind=dict[str, float]) == {"a": 2.0}
    assert len(calls) == 1


@pytest.mark.parametrize("inputs", [5, None, [], "text", {}, {"model": None}])
def test_a_forged_header_is_told(tmp_path, inputs):
    forged(tmp_path / "trials.jsonl", {"journal": 3, "request": {}, "inputs": inputs})
    with pytest.raises(RunError):
        Journal(tmp_path / "trials.jsonl", CONFIGURATION, resume=True)


@pytest.mark.parametrize("version", [[], {}, "3", None, 1.5, -1, True, 10**30])
def test_a_version_that_is_no_number_is_another_version(tmp_path, version):
    forged(tmp_path / "trials.jsonl", {"journal": version, "request": {}, "inputs": CONFIGURATION})
    with pytest.raises(RunError):
        recorded_request(tmp_path / "trials.jsonl")


@pytest.mark.parametrize(
    "line", [b'{"journal": 3, "inputs": NaN, "request": 1}\n', b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n"]
)
def test_what_is_never_written_is_damage(tmp_path, line):
    (tmp_path / "trials.jsonl").write_bytes(line)
    with pytest.raises(RunError, match="damaged"):
        recorded_request(tmp_path / "trials.jsonl")
