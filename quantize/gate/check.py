"""A run held against an accepted baseline and a set of tolerances."""

from __future__ import annotations

from quantize.errors import ConfigError
from quantize.gate.baseline import Baseline
from quantize.gate.changes import change_lines
from quantize.gate.differences import differences
from quantize.gate.document import ReportDocument
from quantize.gate.identity import Files, identity_lines
from quantize.gate.limits import limit_lines
from quantize.gate.machine import isa_note, machine_of
from quantize.gate.result import GateResult, OnInconclusive
from quantize.gate.tolerances import Tolerances


def check(
    document: ReportDocument,
    baseline: Baseline | None,
    tolerances: Tolerances,
    files: Files,
    *,
    run: str,
    on_inconclusive: OnInconclusive | None = None,
) -> GateResult:
    """Return a line a tolerance.

    Args:
        document: The run's report.
        baseline: The accepted run; None where the tolerances ask for no comparison with one.
        tolerances: What is checked.
        files: The model files beside the report.
        run: What to call the run.
        on_inconclusive: What to make of inconclusive lines.

    Raises:
        ConfigError: The tolerances need a baseline and there is none.
    """
    if baseline is None and tolerances.against_baseline:
        raise ConfigError(
            "these tolerances compare with a baseline, and none is named",
            where="--baseline",
            expected="a file that `quantize baseline accept` wrote",
            advice="accept a run first, or take the block against_baseline out of the tolerances",
        )
    lines = [*identity_lines(document, baseline, tolerances, files), *limit_lines(document, tolerances)]
    notes = []
    if baseline is not None:
        lines += change_lines(document, baseline, tolerances)
        note = isa_note(baseline.machine, machine_of(document))
        notes += [note] if note is not None else []
    if any(line.verdict == "better" for line in lines):
        notes.append("Some figures are better than the baseline, accept it? (quantize baseline accept RUN)")
    return GateResult(
        run=run,
        lines=tuple(lines),
        differences=differences(document, baseline) if baseline is not None else (),
        notes=tuple(notes),
        on_inconclusive=on_inconclusive,
    )
