"""A model's predictions, as data and as text."""

from __future__ import annotations

import itertools

from quantize.models.contract import Task
from quantize.quoting import quoted, sentence
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
        answers: The likeliest classes, the likeliest first; of equal scores, the lower label first. Of a model of
            several labels, those that the image has.
        tied: How many classes share the highest score; above 1, the first answer is a matter of chance. Of labels, 1
            more than there are at exactly the threshold.
        compared: What the other model says, where two are compared.
    """

    image: str
    answers: tuple[Answer, ...]
    tied: int
    compared: tuple[Answer, ...] | None = None
    task: Task = "one class"

    @property
    def label(self) -> int | None:
        """Return the likeliest class, or label; None where a model of several labels gives none."""
        return self.answers[0].label if self.answers else None

    @property
    def agrees(self) -> bool | None:
        """Return whether both models name the same class first, or the same labels; None with a single model."""
        if self.compared is None:
            return None
        ours, theirs = ([answer.label for answer in answers] for answers in (self.answers, self.compared))
        return set(ours) == set(theirs) if self.task == "labels" else ours[:1] == theirs[:1]


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
_SAME: dict[Task, str] = {"one class": "same top-1", "yes or no": "same answer", "labels": "same labels"}
_OTHER: dict[Task, str] = {"one class": "top-1 differs", "yes or no": "answer differs", "labels": "labels differ"}


def predict_text(report: PredictReport) -> str:
    """Return every prediction, the likeliest class first, and how often two models agree."""
    parts = [f"{quoted(report.model)}: preprocessing {sentence(report.preprocessing)}"]
    parts += ["\n".join(_lines(prediction)) for prediction in report.predictions]
    if report.left_out:
        parts.append(
            "\n".join(f"left out: {quoted(image.image)}: {sentence(image.reason)}" for image in report.left_out)
        )
    if report.agreement is not None:
        agreeing = sum(prediction.agrees is True for prediction in report.predictions)
        same = _SAME[report.predictions[0].task] if report.predictions else "same answer"
        parts.append(f"{same} as {quoted(report.compared)}: {agreeing:,} of {len(report.predictions):,} images")
    return "\n\n".join(parts)


def _lines(prediction: Prediction) -> list[str]:
    lines = [quoted(prediction.image)]
    if prediction.compared is None:
        lines += [f"  {_row(answer)}" for answer in prediction.answers]
    else:
        same = _SAME[prediction.task]
        lines[0] += f": {same}" if prediction.agrees else f": {_OTHER[prediction.task]}"
        rows = [[_row(answer) for answer in answers] for answers in (prediction.answers, prediction.compared)]
        width = max(map(len, rows[0]), default=0)
        pairs = itertools.zip_longest(*rows, fillvalue="")
        lines += [f"  {ours:<{width}}   | {theirs}".rstrip() for ours, theirs in pairs]
    if prediction.task == "labels" and not prediction.answers and not prediction.compared:
        lines.append("  no label above 50 %")
    if prediction.task == "labels" and prediction.tied > 1:
        lines.append(f"  labels at exactly 50 %, undecided: {prediction.tied - 1}")
    elif prediction.tied > 1:
        lines.append(f"  {prediction.tied} classes share the highest score: which comes first is chance")
    return lines


def _row(answer: Answer) -> str:
    return f"{100 * answer.probability:6.2f} %  {answer.label:>4}  {quoted(answer.name or '')}".rstrip()
