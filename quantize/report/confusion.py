"""Classes that are taken for each other: by fp32, by int8, or by int8 in place of fp32's answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from quantize.evaluation.evaluation import Evaluation, aligned
from quantize.report.section import Section

_SHOWN = 30


class ConfusionSection(Section):
    """Images of one class that are given another one's answer.

    Attributes:
        label: Their true class; without labels, fp32's answer.
        label_name: Its name, where names are known.
        answer: The class that they are taken for.
        answer_name: Its name, where names are known.
        fp32: How many fp32 takes for it; 0 without labels.
        int8: How many the int8 model takes for it.
    """

    label: int
    label_name: str | None
    answer: int
    answer_name: str | None
    fp32: int
    int8: int


def confusions(
    baseline: Evaluation, candidate: Evaluation, names: Sequence[str] | None
) -> tuple[ConfusionSection, ...]:
    """Return the pairs of classes whose confusion changed most, then the most frequent ones; 30 at most.

    Args:
        baseline: The fp32 model's answers, one class an image.
        candidate: The int8 model's, on the same images.
        names: The classes' names in label order, or None.
    """
    after = aligned(baseline, candidate).by_class
    before = baseline.by_class
    true = before.labels if before.labels is not None else before.prediction

    def wrong(answers: Sequence[int]) -> Counter[tuple[int, int]]:
        pairs = zip(true.tolist(), answers, strict=True)
        return Counter((label, answer) for label, answer in pairs if label != answer)

    fp32, int8 = wrong(before.prediction.tolist()), wrong(after.prediction.tolist())
    pairs = sorted(fp32.keys() | int8.keys(), key=lambda pair: (-abs(int8[pair] - fp32[pair]), -int8[pair], pair))
    return tuple(
        ConfusionSection(
            label=label,
            label_name=names[label] if names is not None else None,
            answer=answer,
            answer_name=names[answer] if names is not None else None,
            fp32=fp32[label, answer],
            int8=int8[label, answer],
        )
        for label, answer in pairs[:_SHOWN]
    )
