"""Limits that the accepted run missed already: they fail only where a run is worse than that one."""

from __future__ import annotations

from quantize.gate.baseline import Baseline
from quantize.gate.document import ReportDocument
from quantize.gate.figures import DROPS, Figure
from quantize.gate.machine import machine_of, target_of
from quantize.gate.tolerances import Limit, Tolerances

_ROUNDING = 1e-5  # a baseline's values have six digits


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
    return _missed(baseline, figure, limit, before, slack) and _worse(figure, before, now) <= slack + _tolerated(
        document, tolerances, figure, before
    )


def _worse(figure: Figure, before: float, now: float) -> float:
    return before - now if figure.better == "higher" else now - before


def _missed(baseline: Baseline, figure: Figure, limit: Limit, before: float, slack: float) -> bool:
    if limit.at_least is not None:
        return before < limit.at_least + slack
    if limit.at_most is not None:
        return before > limit.at_most - slack
    if limit.points is not None:
        return before > limit.points - slack
    assert limit.relative is not None
    whole = baseline.figure("fp32", figure.name.removesuffix("_drop") if figure.name in DROPS else figure.name)
    return whole is not None and before > limit.relative * whole - slack


def _tolerated(document: ReportDocument, tolerances: Tolerances, figure: Figure, before: float) -> float:
    change = tolerances.against_baseline.get(figure.name)
    if change is None or (change.classes is not None and target_of(document) not in change.classes):
        return 0.0
    return change.points if change.points is not None else (change.relative or 0.0) * abs(before)
