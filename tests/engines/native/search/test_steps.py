from __future__ import annotations

import pytest

from quantize.engines.native.search.steps import Steps
from quantize.journal import Journal


def test_a_step_is_done_once_and_its_time_counts_once(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("quantize.engines.native.search.steps.time.monotonic", lambda: now[0])
    done = []

    def compute():
        now[0] += 5.0
        done.append(1)
        return "value"

    steps = Steps(Journal(tmp_path / "journal.jsonl", {}, resume=False))
    assert [steps.step("build", "built:a", compute) for _ in range(3)] == ["value"] * 3
    assert len(done) == 1
    assert steps.seconds == {"build": 5.0}
    assert steps.elapsed == pytest.approx(5.0)


def test_a_resumed_search_has_spent_what_its_finished_steps_took(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("quantize.engines.native.search.steps.time.monotonic", lambda: now[0])
    path = tmp_path / "journal.jsonl"

    def compute():
        now[0] += 5.0
        return "value"

    Steps(Journal(path, {}, resume=False)).step("build", "built:a", compute)
    now[0] = 100.0
    resumed = Steps(Journal(path, {}, resume=True))
    for _ in range(2):
        resumed.step("build", "built:a", compute)
    assert resumed.seconds == {"build": 5.0}
    assert resumed.elapsed == pytest.approx(5.0)
