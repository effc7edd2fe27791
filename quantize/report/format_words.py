"""What is said of how far a run's two formats agree."""

from __future__ import annotations

from quantize.models.contract import Task
from quantize.report.models import FormatsSection
from quantize.report.task_words import words
from quantize.report.wording import percent


def formats_sentence(formats: FormatsSection, task: Task) -> str:
    """Return on how many images both formats say the same."""
    return f"The two formats {words(task).alike} on {percent(formats.agreement)} of {_images(formats)}."


def disagreement_sentence(formats: FormatsSection, task: Task) -> str:
    """Return the same of formats that agree too seldom, with what is required."""
    return (
        f"The two formats disagree: they {words(task).alike} on {percent(formats.agreement)} of {_images(formats)}, "
        f"{percent(formats.required, 1)} are required."
    )


def _images(formats: FormatsSection) -> str:
    return "the evaluation images" if formats.images is None else f"{formats.images:,} evaluation images"
