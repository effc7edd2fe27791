from __future__ import annotations

import pytest

from quantize.engines.native.search.search_journal import SearchJournal
from quantize.journal import Journal


def test_a_step_is_done_once_and_its_time_counts_once(tmp_path):
    now = [0.0]
    done = []

    def compute():
        now[0] += 5.0
        done.append(1)
        return "value"

    search_journal = SearchJournal(Journal(tmp_path / "journal.jsonl", {}, resume=False), clock=lambda: now[0])
    assert [search_journal.remember("build", "built:a", compute) for _ in range(3)] == ["value"] * 3
    assert len(done) == 1
    assert search_journal.seconds == {"build": 5.0}
    assert search_journal.elapsed == pytest.approx(5.0)


def test_a_resumed_search_has_spent_what_its_finished_steps_took(tmp_path):
    now = [0.0]
    path = tmp_path / "journal.jsonl"

    def compute():
        now[0] += 5.0
        return "value"

    SearchJournal(Journal(path, {}, resume=False), clock=lambda: now[0]).remember("build", "built:a", compute)
    now[0] = 100.0
    resumed = SearchJournal(Journal(path, {}, resume=True), clock=lambda: now[0])
    for _ in range(2):
        resumed.remember("build", "built:a", compute)
    assert resumed.seconds == {"build": 5.0}
    assert resumed.elapsed == pytest.approx(5.0)
