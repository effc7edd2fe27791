"""What `benchmarks/sweeps.py` and `benchmarks/break_runs.py` may remove: only what they made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_folder import refuse_foreign
from sweeping.comparison import came_to
from sweeping.inputs import is_own, write_sweep


def test_only_a_folder_that_a_sweep_was_written_to_is_its_own(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "sweep"
    data.mkdir()
    (data / "a.png").write_bytes(b"")
    (tmp_path / "labels.txt").write_text("a.png 1\n")
    file = write_sweep(folder, tmp_path / "models", data, tmp_path / "labels.txt", 1)
    assert is_own(folder)
    for sweep in (file.read_text().replace(str(folder), "configs"), "models: 1", "", "[", "\x00"):
        file.write_text(sweep)
        assert not is_own(folder)
    assert not is_own(data)


def test_two_sweeps_are_compared_but_for_what_was_timed(tmp_path: Path) -> None:
    for name, headline, seconds in (
        ("first", "accuracy not met", 1),
        ("slow", "accuracy not met, slower than fp32", 2),
        ("other", "met", 1),
    ):
        run = {"run": "model", "headline": headline, "times": [seconds]}
        timed = {"created": name, "command": [], "workers": [], "classes": [], "tool": {}}
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "sweep.json").write_text(json.dumps({**timed, "runs": [run]}))
        report = {"baseline": {"role": "fp32", "latency": seconds}, "models": []}
        (tmp_path / name / "model" / "report.json").write_text(json.dumps(report))
    first, slow, other = (came_to(tmp_path / name) for name in ("first", "slow", "other"))
    assert first == slow != other


def test_a_folder_with_something_else_in_it_is_refused_and_stays(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "new", own=False)
    refuse_foreign(tmp_path, own=False)
    (tmp_path / "thesis.txt").write_text("years of work")
    refuse_foreign(tmp_path, own=True)
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(SystemExit, match="is not of an earlier call"):
            refuse_foreign(place, own=False)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
