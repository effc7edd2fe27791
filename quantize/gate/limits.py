"""Limits on figures within one run: against fp32, never across machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quantize.criterion import Criterion, Metric, SpeedCriterion, reaches, stays_within
from quantize.errors import DataError
from quantize.evaluation.intervals import Interval, wilson
from quantize.evaluation.verdict import verdict as judged
from quantize.gate.baseline import Baseline
from quantize.gate.changes import missed_before
from quantize.gate.document import ROLES, ReportDocument
from quantize.gate.figures import DROPS, FIGURES, Figure, is_of_task, not_applicable, title_of, unbound
from quantize.gate.machine import not_for_target
from quantize.gate.result import Line, Verdict
from quantize.gate.tolerances import Limit, Tolerances
from quantize.report.wording import percent, points, would_settle

_VERDICTS: dict[str, Verdict] = {"met": "pass", "not met": "fail", "inconclusive": "inconclusive"}


def limit_lines(document: ReportDocument, tolerances: Tolerances, baseline: Baseline | None = None) -> Iterator[Line]:
    """Yield a line for each limit and each model that it speaks of.

    Args:
        document: The run's report.
        tolerances: The limits.
        baseline: An accepted run: what it missed as well is accepted.
    """
    for figure in FIGURES.values():
        limit = tolerances.against_fp32.get(figure.name)
        if limit is None or not is_of_task(document, figure):
            continue
        for role in ("run",) if figure.of_run else ROLES:
            line = _line(document, figure, limit, role)
            missed = line.verdict in ("fail", "inconclusive")
            if missed and baseline is not None and missed_before(document, baseline, tolerances, role, figure, limit):
                note = "the accepted run misses it too; this one is no worse"
                line = line.model_copy(update={"verdict": "accepted", "note": note})
            yield line


def _line(document: ReportDocument, figure: Figure, limit: Limit, role: str) -> Line:
    def line(verdict: Verdict, found: str | None, note: str | None = None) -> Line:
        return Line(
            name=f"{role}.{figure.name}.fp32",
            title=title_of(role, figure, document) + (" against fp32" if figure.name in (*DROPS, "size") else ""),
            baseline=_reference(document, figure, limit),
            found=found,
            allowed=_allowed(figure, limit),
            verdict=verdict,
            note=note,
        )

    why_not = not_applicable(document, role, figure) or unbound(document, limit.classes)
    if why_not is not None:
        return line("not applicable", None, why_not)
    if figure.name in DROPS:
        return _drop(document, figure, limit, role, line)
    value = document.figure(role, figure.name)
    if value is None:
        return line("missing", None, "missing from the report")
    elsewhere = not_for_target(document) if figure.of_target else None
    if elsewhere is not None:
        return line("not comparable", figure.shown(value), elsewhere)
    if figure.name == "speedup" and limit.at_least is not None:
        return _speed(document, limit.at_least, limit.confidence, role, line)
    if limit.relative is not None:
        whole = document.figure("fp32", figure.name)
        if not whole:
            return line("missing", None, "the report does not have fp32's")
        found = f"{figure.shown(value)}, {percent(value / whole, 1)} of it"
        return line("pass" if stays_within(value, limit.relative * whole) else "fail", found)
    if limit.confidence is None:
        return line("pass" if _holds(limit, value) else "fail", figure.shown(value))
    interval = _interval(document, role, figure, limit.confidence)
    if interval is None:
        return line("missing", figure.shown(value), "the report has no interval for it")
    shown = f"{figure.shown(value)} [{figure.shown(interval.low)}, {figure.shown(interval.high)}]"
    ends = [_holds(limit, interval.low), _holds(limit, interval.high)]
    return line("pass" if all(ends) else "inconclusive" if any(ends) else "fail", shown)


def _speed(
    document: ReportDocument, at_least: float, confidence: float | None, role: str, line: Callable[..., Line]
) -> Line:
    """Check a speed-up by the rule that the search and the run's verdict use."""
    gain, show = document.gains[role], FIGURES["speedup"].shown
    shown = show(gain.ratio)
    if gain.low is not None and gain.high is not None:
        shown += f" [{show(gain.low)}, {show(gain.high)}]"
    elif confidence is not None:
        return line("missing", shown, "the report has no interval for it")
    outcome = SpeedCriterion(min_speedup=at_least, confidence=confidence).outcome(gain, document.noise_floor)
    return line(_VERDICTS[outcome], shown)


_METRICS: dict[str, Metric] = {"top1_drop": "top1", "top5_drop": "top5", "map_drop": "map"}


def _drop(document: ReportDocument, figure: Figure, limit: Limit, role: str, line: Callable[..., Line]) -> Line:
    paired = document.paired(role, figure.name.removesuffix("_drop"))
    if paired is None:
        return line("missing", None, "missing from the report")
    criterion = Criterion(
        _METRICS[figure.name],
        baseline=paired.baseline_expected,
        relative=limit.relative,
        absolute=limit.points,
        confidence=limit.confidence,
    )
    try:
        judgement = judged(paired, criterion)
    except DataError as error:
        return line("missing", None, error.problem)
    show = percent if limit.relative is not None else points
    text = f"{percent(paired.candidate_expected)}, a drop of {show(judgement.estimate)}"
    if judgement.low is not None and judgement.high is not None:
        text += f" [{show(judgement.low)}, {show(judgement.high)}]"
    note = would_settle(judgement.images_needed) if judgement.images_needed else None
    return line(_VERDICTS[judgement.outcome], text, note)


def _holds(limit: Limit, value: float) -> bool:
    if limit.at_least is not None:
        return reaches(value, limit.at_least)
    assert limit.at_most is not None
    return stays_within(value, limit.at_most)


def _interval(document: ReportDocument, role: str, figure: Figure, confidence: float) -> Interval | None:
    """Return an interval whose bounds each hold with ``confidence``."""
    if figure.name == "speedup":
        gain = document.gains.get(role)
        if gain is None or gain.low is None or gain.high is None:
            return None
        return Interval(low=gain.low, high=gain.high, confidence=gain.confidence)
    evaluation = document.deciding(role)
    n = evaluation.at("evaluation", "n")
    rate = evaluation.at("evaluation", "fidelity", "pessimistic_agreement")
    if figure.name in ("top1", "top5"):
        rate = evaluation.at("evaluation", figure.name, "pessimistic")
    if not isinstance(n, int) or n <= 0 or not isinstance(rate, int | float):
        return None
    return wilson(round(rate * n), n, 2 * confidence - 1)


def _reference(document: ReportDocument, figure: Figure, limit: Limit) -> str | None:
    if figure.name in DROPS:
        value = document.figure("fp32", figure.name.removesuffix("_drop"))
        return percent(value) if value is not None else None
    if limit.relative is not None:
        value = document.figure("fp32", figure.name)
        return figure.shown(value) if value is not None else None
    return None


def _allowed(figure: Figure, limit: Limit) -> str:
    sure = f" at {percent(limit.confidence, 0)} confidence" if limit.confidence is not None else ""
    if limit.relative is not None:
        of = "of fp32's" if figure.name == "size" else "relative"
        return f"at most {percent(limit.relative)} {of}{sure}"
    if limit.points is not None:
        return f"at most {limit.points * 100:.2f} points{sure}"
    if limit.at_least is not None:
        return f"at least {figure.shown(limit.at_least)}{sure}"
    assert limit.at_most is not None
    return f"at most {figure.shown(limit.at_most)}{sure}"
