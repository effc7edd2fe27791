from __future__ import annotations

from quantize.sweep.absence import Absence


def test_only_time_that_was_spent_waiting_counts() -> None:
    now = [0.0]
    absence = Absence(10, clock=lambda: now[0])
    for _ in range(4):
        now[0] += 2.5
        absence.look(there=False)
    assert not absence.is_long  # 10 s, which is the patience
    now[0] += 0.5
    absence.look(there=False)
    assert absence.is_long
    absence.look(there=True)
    assert not absence.is_long
    now[0] += 1000  # the process was stopped
    absence.look(there=False)
    assert not absence.is_long
