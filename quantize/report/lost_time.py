"""Why int8 is slower than fp32, or not as fast as it could be, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.measurement.operators.bottlenecks import Bottleneck, bottlenecks
from quantize.measurement.operators.operator_times import Profile
from quantize.report.table import Table
from quantize.report.wording import milliseconds, one_line, percent

_NAMED = 2
_WORTH_SAYING = 0.05
_ROWS = 12
_DONE = "nothing:"
"""How the advice begins where nothing can be done."""


def lost_time_sentence(profile: Profile | None) -> str | None:
    """Return which operators cost most of the difference and what to do; None if none costs 5 % of a run.

    Args:
        profile: The times of both models' operators; None: not measured.
    """
    slow = bottlenecks(profile) if profile is not None else ()
    if profile is None or not slow:
        return None
    total = sum(each.excess_ns for each in slow)
    if total < _WORTH_SAYING * profile.candidate.run_ns:
        return None
    named = _most(slow, total)
    share = sum(each.excess_ns for each in named) / total
    lost = "; ".join(_lost(each) for each in named)
    slower = profile.candidate.run_ns > profile.baseline.run_ns
    why = "What costs most" if slower else "What slows int8 most"
    return f"{why}: {lost} ({percent(share, 0)} of the time that int8 loses). {_advice(named)}"


def lost_time_table(profile: Profile | None) -> Table | None:
    """Return the operators that lose time, the most first, each with what to do; None if none does."""
    slow = bottlenecks(profile) if profile is not None else ()
    if not slow:
        return None
    rows = tuple(
        (
            one_line(each.what, 60),
            milliseconds(each.fp32_ns or None, 3),
            milliseconds(each.int8_ns, 3),
            milliseconds(each.excess_ns, 3),
            each.why,
            each.advice,
        )
        for each in slow[:_ROWS]
    )
    notes = ["Lost: int8 time above what is expected from this CPU's peak rates, or from fp32's time."]
    if len(slow) > _ROWS:
        rest = slow[_ROWS:]
        notes.append(f"{len(rest):,} more lose {milliseconds(sum(each.excess_ns for each in rest), 3)} together.")
    columns = ("operator", "fp32", "int8", "lost", "why", "what to do")
    return Table("Where int8 loses time", columns, rows, tuple(notes), prose=True)


def _most(slow: Sequence[Bottleneck], total: float) -> Sequence[Bottleneck]:
    """Return the first, and the second where the first is not most of it."""
    return slow[:1] if slow[0].excess_ns > total / 2 else slow[:_NAMED]


def _lost(each: Bottleneck) -> str:
    name, now = one_line(each.what, 60), milliseconds(each.int8_ns)
    if each.fp32_ns > 0:
        return f"{name} takes {now} in int8 and {milliseconds(each.fp32_ns)} in fp32"
    return f"{name}, which fp32 does not have, takes {now}"


def _advice(named: Sequence[Bottleneck]) -> str:
    told = list(dict.fromkeys(each.advice for each in named if not each.advice.startswith(_DONE)))
    if not told:
        return "Nothing can be done about that on this CPU."
    return f"What to do: {'; '.join(told)}."
