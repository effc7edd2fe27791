"""A run's own verdict, and whether it is as good as the accepted run's."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict

from quantize.criterion import is_slower
from quantize.gate.document import ROLES, ReportDocument
from quantize.gate.machine import not_for_target
from quantize.gate.result import Line, Verdict
from quantize.gate.tolerances import Tolerances
from quantize.report.criterion import SpeedStatus, Status
from quantize.report.wording import times

SLOWER = "slower than fp32"
_RANKS = {"met": 2, "inconclusive": 1, "not met": 0}


class RunVerdict(BaseModel):
    """A run's verdict on itself.

    Attributes:
        status: On both criteria together.
        accuracy: On accuracy.
        speed: On speed; None in runs of earlier versions, which did not judge it.
        headline: In a few words.
        slower: A model is slower than fp32 on CPUs that it is for.
        asked: The criteria in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status
    accuracy: Status
    speed: SpeedStatus | None
    headline: str
    slower: bool
    asked: str

    @property
    def warning(self) -> str | None:
        """Return what someone who accepts the run must know, or None if all is well."""
        if self.status == "met" and not self.slower:
            return None
        said = {"met": "This run is met", "not asked": "This run was asked for no accuracy"}.get(
            self.status, "This run does not meet its criterion"
        )
        return f"{said}: {self.headline}."


def verdict_of(document: ReportDocument) -> RunVerdict | None:
    """Return a run's verdict, or None if the report does not have a whole one."""
    status, accuracy = document.at("verdict", "status"), document.at("verdict", "accuracy")
    if status not in get_args(Status):
        return None
    speed = document.at("verdict", "speed", "status")
    slower = not_for_target(document) is None and any(
        is_slower(document.gains[role], document.noise_floor) for role in ROLES if role in document.gains
    )
    said = document.text("verdict", "summary")
    return RunVerdict(
        status=status,
        accuracy=accuracy if accuracy in get_args(Status) else status,
        speed=speed if speed in get_args(SpeedStatus) else None,
        headline=said if said is not None else f"{status}, {SLOWER}" if slower else str(status),
        slower=slower,
        asked=_asked(document),
    )


def verdict_line(
    document: ReportDocument, accepted: RunVerdict | None, tolerances: Tolerances, *, has_baseline: bool
) -> Line:
    """Return the line on whether the run meets its own criterion.

    With a baseline, the verdict may not be worse than the accepted one; a miss that was accepted is accepted again.
    Without one, or where the baseline does not tell its verdict, it is told only, unless the tolerances ask for
    ``criterion: met``.
    """
    now = verdict_of(document)
    verdict, note = _compared(now, accepted) if accepted is not None else _alone(now, tolerances, has_baseline)
    must_meet = accepted is None and tolerances.criterion == "met"
    return Line(
        name="run.criterion",
        title="the run's own criterion",
        baseline=accepted.headline if accepted is not None else None,
        found=now.headline if now is not None else None,
        allowed="no worse than accepted" if accepted is not None else "met" if must_meet else "informational",
        verdict=verdict,
        note=note,
    )


def _compared(now: RunVerdict | None, accepted: RunVerdict) -> tuple[Verdict, str | None]:
    if now is None:
        return "missing", "missing from the report"
    outcomes = [
        _part(name, mine, theirs)
        for name, mine, theirs in (
            ("accuracy", now.accuracy, accepted.accuracy),
            ("speed", now.speed, accepted.speed),
        )
    ]
    order: list[Verdict] = ["fail", "missing", "inconclusive", "not comparable", "accepted", "better", "pass"]
    return min(outcomes, key=lambda outcome: order.index(outcome[0]))


def _part(name: str, now: str | None, accepted: str | None) -> tuple[Verdict, str | None]:
    if accepted not in _RANKS:
        return "pass", None  # nothing was judged when the run was accepted: nothing can be worse
    if now == "not measured for the target":
        return "not comparable", f"{name} was {now}"
    if now not in _RANKS:
        return "missing", f"{name} was judged in the accepted run, and is not in this one"
    if _RANKS[now] > _RANKS[accepted]:
        return "better", f"{name}: {now}, accepted as {accepted}"
    if _RANKS[now] == _RANKS[accepted]:
        return ("pass", None) if now == "met" else ("accepted", f"{name}: {now}, as in the accepted run")
    return "inconclusive" if now == "inconclusive" else "fail", f"{name}: {now}, accepted as {accepted}"


def _alone(now: RunVerdict | None, tolerances: Tolerances, has_baseline: bool) -> tuple[Verdict, str | None]:  # noqa: FBT001
    if now is not None and now.status == "met":
        return "pass", None
    if tolerances.criterion == "met":
        if now is None or now.status == "not asked":
            return "missing", "the report has no verdict"
        return ("fail" if now.status == "not met" else "inconclusive"), None
    if has_baseline:
        return "not in the baseline", "an earlier version accepted that run, and did not keep its verdict"
    return "not comparable", "no baseline tells what was accepted (`criterion: met` among the tolerances asks for it)"


def _asked(document: ReportDocument) -> str:
    values: Any = document.at("criterion")
    given = values if isinstance(values, dict) else {}
    names = ("relative", "absolute", "minimum", "confidence")
    parts = [f"{name} {given[name]:g}" for name in names if isinstance(given.get(name), int | float)]
    least = given.get("min_speedup")
    parts += [f"at least {times(least)}"] if isinstance(least, int | float) else []
    return ", ".join([str(given.get("metric", "none")), *parts])
