"""Changes of figures since the accepted baseline, and limits that the accepted run already missed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from quantize.evaluation.intervals import Interval, wilson
from quantize.gate.baseline import Baseline
from quantize.gate.document import ROLES, ReportDocument
from quantize.gate.figures import ACCURACY, DROPS, FIGURES, Figure, is_of_task, not_applicable, title_of, unbound
from quantize.gate.machine import machine_of, not_for_target, target_of, unlikeness
from quantize.gate.result import Line, Verdict
from quantize.gate.tolerances import Change, Limit, Tolerances
from quantize.target import saturates

_ROUNDING = 1e-5  # a baseline's values have six digits
_FRACTIONS = ("top1", "top5", "top1_drop", "top5_drop", "map", "map_drop", "agreement", "tie_share", "integer_share")


def change_lines(document: ReportDocument, baseline: Baseline, tolerances: Tolerances) -> Iterator[Line]:
    """Yield a line for each change that is tolerated and each model that it speaks of."""
    unlike = unlikeness(baseline.machine, machine_of(document))
    for name, change in tolerances.against_baseline.items():
        figure = FIGURES[name.removeprefix("fp32_")]
        if not is_of_task(document, figure):
            continue
        roles = ("fp32",) if name.startswith("fp32_") else ("run",) if figure.of_run else ROLES
        for role in roles:
            yield _line(document, baseline, figure, change, role, unlike)


def _line(
    document: ReportDocument, baseline: Baseline, figure: Figure, change: Change, role: str, unlike: str | None
) -> Line:
    before, now = baseline.figure(role, figure.name), document.figure(role, figure.name)

    def line(verdict: Verdict, note: str | None = None) -> Line:
        return Line(
            name=f"{role}.{figure.name}.baseline",
            title=f"{title_of(role, figure, document)} since the baseline",
            baseline=figure.shown(before) if before is not None else None,
            found=figure.shown(now) if now is not None else None,
            allowed=_allowed(figure, change),
            verdict=verdict,
            note=note,
        )

    why_not = not_applicable(document, role, figure)
    unbinding = unbound(document, change.classes)
    if unbinding is not None or (why_not is not None and not baseline.labelled):
        return line("not applicable", unbinding or why_not)
    if before is None:
        return line("not in the baseline", None if now is None else "accept a run again to compare it")
    if now is None:
        return line("missing", "missing from the report")
    apart = incomparable(document, baseline, figure, role, unlike)
    if apart is not None:
        return line("not comparable", apart)
    allowed = _tolerated(change, before)
    worse = _worse(figure, before, now)
    slack = _ROUNDING * max(abs(before), abs(now))
    if change.confidence is not None and not is_unchanged(document, baseline, role):
        return _confident(document, baseline, role, change.confidence, allowed, (before, now), line)
    if worse > allowed + slack:
        return line("fail")
    if -worse > allowed + slack:
        return line("better", "better than the baseline, accept it?")
    return line("pass")


def incomparable(
    document: ReportDocument, baseline: Baseline, figure: Figure, role: str, unlike: str | None
) -> str | None:
    """Return why a figure of both runs cannot be compared, or None if it can.

    Args:
        document: The run's report.
        baseline: The accepted run.
        figure: The figure.
        role: The model, or ``run``.
        unlike: Why times of the two machines are not compared; None if they are.
    """
    if figure.of_target and (elsewhere := not_for_target(document)) is not None:
        return elsewhere
    if figure.of_machine:
        return unlike
    here, target = machine_of(document), target_of(document)
    if here.known_class == baseline.machine.known_class or role not in baseline.models:
        return None
    if document.model(role).text("graph_sha256") != baseline.models[role].graph_sha256:
        return (
            None if target == baseline.target else f"another file: for {target}, the baseline's for {baseline.target}"
        )
    return saturated(document) if figure.name in ACCURACY and role != "fp32" else None


def saturated(document: ReportDocument) -> str | None:
    """Return why the accuracy of a run is not what exact sums give, or None if it is, or nobody can tell.

    Runs that record the class of their CPU measure accuracy as the target computes; earlier ones took the machine's
    own sums, which saturate on some.
    """
    here = machine_of(document)
    layers = document.at("chosen", "saturating_layers")
    own_sums = here.cpu_class is None and here.known_class is not None and saturates(here.known_class)
    if own_sums and isinstance(layers, int) and layers > 0:
        return f"sums may have saturated in {layers} layers: measured by an earlier version on class {here.known_class}"
    return None


def _confident(
    document: ReportDocument,
    baseline: Baseline,
    role: str,
    confidence: float,
    allowed: float,
    values: tuple[float, float],
    line: Callable[..., Line],
) -> Line:
    n = document.deciding(role).at("evaluation", "n")
    if not isinstance(n, int) or n <= 0:
        return line("missing", "the report does not say how many images there were")
    worse = difference(values[0], baseline.images, values[1], n, 2 * confidence - 1)
    verdict: Verdict = "pass" if worse.high <= allowed else "fail" if worse.low > allowed else "inconclusive"
    return line(verdict, f"worse by {worse.low * 100:+.2f} to {worse.high * 100:+.2f} points")


def difference(first: float, first_n: int, second: float, second_n: int, confidence: float) -> Interval:
    """Return the interval of ``first - second``, two rates of unpaired images: Newcombe's (1998) method 10.

    Args:
        first: A rate, a fraction.
        first_n: Its images.
        second: Another rate.
        second_n: Its images.
        confidence: Two-sided.
    """
    first_interval, second_interval = (
        wilson(first * first_n, first_n, confidence),
        wilson(second * second_n, second_n, confidence),
    )
    middle = first - second
    return Interval(
        low=middle - math.hypot(first - first_interval.low, second_interval.high - second),
        high=middle + math.hypot(first_interval.high - first, second - second_interval.low),
        confidence=confidence,
    )


def _allowed(figure: Figure, change: Change) -> str:
    sure = f" at {change.confidence * 100:.0f} % confidence" if change.confidence is not None else ""
    if change.relative is not None:
        return f"worse by at most {change.relative * 100:g} %{sure}"
    assert change.points is not None
    amount = f"{change.points * 100:g} points" if figure.name in _FRACTIONS else f"{change.points:g}"
    return f"worse by at most {amount}{sure}"


def is_unchanged(document: ReportDocument, baseline: Baseline, role: str) -> bool:
    """Return whether a model and the images that it was judged on are those of the accepted run."""
    accepted = baseline.models.get(role)
    return (
        accepted is not None
        and document.model(role).text("graph_sha256") == accepted.graph_sha256
        and document.text("provenance", "data_fingerprint") == baseline.data_fingerprint
        and document.text("provenance", "preprocessing_fingerprint") == baseline.preprocessing_fingerprint
    )


def missed_before(
    document: ReportDocument, baseline: Baseline, tolerances: Tolerances, role: str, figure: Figure, limit: Limit
) -> bool:
    """Return whether the accepted run missed a limit too, and this one is not worse by more than is tolerated.

    A limit that has to hold for certain was missed as much only by the same model on the same images.
    """
    before, now = baseline.figure(role, figure.name), document.figure(role, figure.name)
    if before is None or now is None:
        return False
    slack = _ROUNDING * max(abs(before), abs(now))
    if is_unchanged(document, baseline, role) and abs(before - now) <= slack:
        return True
    if limit.confidence is not None:
        return False
    if figure.of_machine and baseline.machine.known_class != machine_of(document).known_class:
        return False
    change = tolerances.against_baseline.get(figure.name)
    binds = change is not None and unbound(document, change.classes) is None
    tolerated = _tolerated(change, before) if change is not None and binds else 0.0
    return _limit_missed(baseline, figure, limit, before, slack) and _worse(figure, before, now) <= slack + tolerated


def _worse(figure: Figure, before: float, now: float) -> float:
    return before - now if figure.better == "higher" else now - before


def _limit_missed(baseline: Baseline, figure: Figure, limit: Limit, before: float, slack: float) -> bool:
    if limit.at_least is not None:
        return before < limit.at_least + slack
    if limit.at_most is not None:
        return before > limit.at_most - slack
    if limit.points is not None:
        return before > limit.points - slack
    assert limit.relative is not None
    whole = baseline.figure("fp32", figure.name.removesuffix("_drop") if figure.name in DROPS else figure.name)
    return whole is not None and before > limit.relative * whole - slack


def _tolerated(change: Change, before: float) -> float:
    return change.points if change.points is not None else (change.relative or 0.0) * abs(before)
