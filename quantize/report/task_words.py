"""What figures are called for each task: a class, yes or no, or several labels of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from quantize.models.contract import Task


@dataclass(frozen=True)
class TaskWords:
    """The words of one task.

    Attributes:
        accuracy: What its accuracy is called.
        same: What agreement is about, as in "has ... on 97 %".
        alike: What two models do that agree.
        agreement: What agreement is, in a sentence of a table.
        explained: What accuracy and ties are, in sentences of a table.
        has_top5: Whether there is a top-5.
    """

    accuracy: str
    same: str
    alike: str
    agreement: str
    explained: str
    has_top5: bool = False


WORDS: Mapping[Task, TaskWords] = MappingProxyType(
    {
        "one class": TaskWords(
            accuracy="top-1",
            same="fp32's top-1",
            alike="name the same top-1",
            agreement="images with the same top-1 as fp32",
            explained="Top-1 and top-5: expected values, with ties broken at random. Ties: images whose highest score "
            "several classes share.",
            has_top5=True,
        ),
        "yes or no": TaskWords(
            accuracy="accuracy",
            same="fp32's answer",
            alike="give the same answer",
            agreement="images with the same answer as fp32",
            explained="The answer is yes above a probability of 0.5 (a logit above 0). Accuracy: the expected "
            "value, with ties broken at random. Ties: images at exactly 0.5.",
        ),
        "labels": TaskWords(
            accuracy="mAP",
            same="fp32's decisions",
            alike="decide the same, label by label,",
            agreement="the share of decisions, one for each image and label, that are fp32's",
            explained="An image has a label above a probability of 0.5 (a logit above 0). mAP: the mean of the average "
            "precision of each label that an image has. Ties: images with a label at exactly 0.5.",
        ),
    }
)


def words(task: Task) -> TaskWords:
    """Return the words of a task."""
    return WORDS[task]
