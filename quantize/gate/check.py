"""Check a run against an accepted baseline and a set of tolerances."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.config.nearest import nearest
from quantize.errors import ConfigError
from quantize.gate.baseline import Baseline
from quantize.gate.changes import change_lines
from quantize.gate.differences import Files, differences, identity_lines
from quantize.gate.document import ReportDocument
from quantize.gate.limits import limit_lines
from quantize.gate.machine import isa_note, machine_of
from quantize.gate.result import GateResult, Line, OnInconclusive
from quantize.gate.tolerances import Tolerances
from quantize.gate.verdict import verdict_line

_ROUGH = "A rough run (--quick): few images and few timed runs, so this decides nothing; check a full run."


def check(
    document: ReportDocument,
    baseline: Baseline | None,
    tolerances: Tolerances,
    files: Files,
    *,
    run: str,
    on_inconclusive: OnInconclusive | None = None,
    require: Sequence[str] = (),
) -> GateResult:
    """Return a line per tolerance, and one on whether the run meets its own criterion.

    Args:
        document: The run's report.
        baseline: The accepted run; None: limits against fp32 alone.
        tolerances: What is checked.
        files: The model files next to the report.
        run: What to call the run.
        on_inconclusive: What to make of inconclusive lines.
        require: Figures that have to be compared; ``criterion`` is the run's own.

    Raises:
        ConfigError: A figure is required that these tolerances do not look at.
    """
    accepted = baseline.verdict if baseline is not None else None
    lines = [
        *identity_lines(document, baseline, tolerances, files),
        verdict_line(document, accepted, tolerances, has_baseline=baseline is not None),
        *limit_lines(document, tolerances, baseline),
    ]
    notes = [_ROUGH] if document.at("rough") is not None else []
    if baseline is None and tolerances.against_baseline:
        notes.append("No baseline: limits against fp32 alone.")
    if baseline is not None:
        lines += change_lines(document, baseline, tolerances)
        note = isa_note(baseline.machine, machine_of(document))
        notes += [note] if note is not None else []
    if any(line.verdict == "better" for line in lines):
        notes.append("Some figures are better than the baseline, accept it? (quantize baseline accept RUN)")
    _require_known(require, lines)
    lines = [line.required() if line.figure in require else line for line in lines]
    return GateResult(
        run=run,
        lines=tuple(lines),
        differences=differences(document, baseline) if baseline is not None else (),
        notes=tuple(notes),
        on_inconclusive=on_inconclusive,
    )


def _require_known(require: Sequence[str], lines: Sequence[Line]) -> None:
    looked_at = list(dict.fromkeys(line.figure for line in lines))
    for name in require:
        if name not in looked_at:
            meant = nearest(name, looked_at)
            raise ConfigError(
                "no tolerance checks a required figure",
                where="--require",
                found=name,
                expected="some of " + ", ".join(looked_at),
                advice=f"did you mean {meant}?" if meant else "add it to the tolerances, or give a baseline",
            )
