"""The report as plain text for a terminal or a log, 80 columns wide."""

from __future__ import annotations

from pathlib import Path

from quantize.measurement.timing.doubts import doubts
from quantize.report.accuracy_tables import accuracy_table, drop_table
from quantize.report.conclusion import conclusion
from quantize.report.lines import drawn, wrapped
from quantize.report.provenance import replay_sentences
from quantize.report.schema import RunReport
from quantize.report.search_tables import engines_table
from quantize.report.speed_tables import speed_table
from quantize.report.wording import one_line

OWN_DATA = (
    "",
    "  bash run_tuning.sh --input_model=MODEL.onnx --config=configs/squeezenet.yaml \\",
    "      --data_path=IMAGES --label_path=LABELS.txt --output_model=FOLDER",
)


def summary(report: RunReport) -> str:
    """Return what a person wants to know at the end of a run."""
    told = conclusion(report)
    parts = [wrapped(f"{Path(report.source.path).name}: {report.verdict.headline}"), wrapped(told.recommendation), ""]
    parts += [wrapped(f"{point.subject}: {point.text}", "  ", hanging=2) for point in told.points]
    parts += ["", wrapped(report.verdict.text)]
    parts += [wrapped(reason, "  ") for reason in report.verdict.reasons]
    if report.replay is not None:
        parts += [wrapped(sentence, "  ") for sentence in replay_sentences(report.replay)]
    if report.machine is not None:
        parts.append(wrapped(report.machine.line + ".", "  "))
    for table in (accuracy_table(report), drop_table(report), speed_table(report), engines_table(report)):
        if table is not None:
            parts.append("\n" + drawn(table))
    reasons = doubts(report.measurement) if report.measurement is not None else ()
    if reasons:
        names = ", ".join(dict.fromkeys(doubt.name for doubt in reasons))
        parts.append(wrapped(f"Measurement warnings: {names}. report.md says what to do.", "  "))
    parts.append("\nfiles")
    written = report.models if report.input_contract is None else (*report.models, report.baseline)
    parts += [f"  {one_line(model.file)}" for model in written]
    parts += ["  report.json, report.md, report.html, flips.csv, config.yaml, trials.jsonl"]
    if report.data.demonstration:
        parts += ["", wrapped("That was a demonstration on 20 photographs. On your own model and images:"), *OWN_DATA]
    return "\n".join(parts)
