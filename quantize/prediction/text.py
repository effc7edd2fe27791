"""Predictions as a person reads them."""

from __future__ import annotations

from quantize.prediction.answers import Answer, Prediction, PredictReport

_BAR = 20


def predict_text(report: PredictReport) -> str:
    """Return every prediction, the likeliest class first, and how often two models agree."""
    parts = [f"{report.model}: preprocessing {report.preprocessing}"]
    parts += ["\n".join(_lines(prediction)) for prediction in report.predictions]
    if report.left_out:
        parts.append("\n".join(f"left out: {image.image}: {image.reason}" for image in report.left_out))
    if report.agreement is not None:
        agreeing = sum(prediction.agrees is True for prediction in report.predictions)
        parts.append(f"same top-1 as {report.compared}: {agreeing:,} of {len(report.predictions):,} images")
    return "\n\n".join(parts)


def _lines(prediction: Prediction) -> list[str]:
    lines = [prediction.image]
    if prediction.compared is None:
        lines += [f"  {_row(answer)}" for answer in prediction.answers]
    else:
        verdict = "the same top-1" if prediction.agrees else "ANOTHER top-1"
        lines[0] += f": {verdict}"
        rows = [[_row(answer) for answer in answers] for answers in (prediction.answers, prediction.compared)]
        width = max(map(len, rows[0]))
        lines += [f"  {ours:<{width}}   | {theirs}" for ours, theirs in zip(*rows, strict=True)]
    if prediction.tied > 1:
        lines.append(f"  {prediction.tied} classes share the highest score: which comes first is chance")
    return lines


def _row(answer: Answer) -> str:
    return f"{answer.probability:7.2%}  {answer.label:>4}  {answer.name or ''}".rstrip()
