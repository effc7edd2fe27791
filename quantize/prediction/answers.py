"""A model's predictions, as data and as text."""

from __future__ import annotations

from pydantic import Field

from quantize.report.section import Section


class Answer(Section):
    """One class that a model names.

    Attributes:
        label: The class, from 0.
        name: What it is called, or None if that is not known.
        probability: Its probability, a fraction.
    """

    label: int
    name: str | None
    probability: float


class Prediction(Section):
    """What a model says about one image.

    Attributes:
        image: The image, as it was named.
        answers: The likeliest classes, the likeliest first; of equal scores, the lower label first.
        tied: How many classes share the highest score; above 1, the first answer is a matter of chance.
        compared: What the other model says, where two are compared.
    """

    image: str
    answers: tuple[Answer, ...] = Field(min_length=1)
    tied: int
    compared: tuple[Answer, ...] | None = None

    @property
    def label(self) -> int:
        """Return the likeliest class."""
        return self.answers[0].label

    @property
    def agrees(self) -> bool | None:
        """Return whether both models name the same class first, or None with a single model."""
        return None if self.compared is None else self.compared[0].label == self.label


class LeftOut(Section):
    """An image that could not be read, and why."""

    image: str
    reason: str


class PredictReport(Section):
    """What a model says about images.

    Attributes:
        model: The model's file.
        sha256: Hash of its bytes.
        compared: The file that it is compared with, or None.
        preprocessing: Where the preprocessing comes from.
        predictions: One an image, in order.
        left_out: Images that could not be read.
        agreement: Share of images on which both models name the same class first, or None.
    """

    model: str
    sha256: str
    compared: str | None
    preprocessing: str
    predictions: tuple[Prediction, ...]
    left_out: tuple[LeftOut, ...]
    agreement: float | None


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
