"""Is the model as accurate as published, within the margin of a small sample?"""

from __future__ import annotations

from scipy import stats

from quantize.examination.findings import Examination, Finding, not_checked, right, wrong
from quantize.examination.trials import Comparison
from quantize.report.wording import percent


def examine_published(comparison: Comparison) -> Examination:
    """Return whether the accuracy is as published, within what so few images can tell."""
    name = "published accuracy"
    published = None if comparison.entry is None else comparison.entry.published
    if published is None or published.top1 is None:
        return not_checked(name, "none is known")
    _, labels = comparison.best_order()
    test = stats.binomtest(int(comparison.base.right(labels).sum()), comparison.images)
    interval = test.proportion_ci(confidence_level=0.99, method="wilson")
    text = (
        f"top-1 {percent(float(test.statistic), 1)} on {comparison.images} images, 99 % interval "
        f"{percent(float(interval.low), 1)} to {percent(float(interval.high), 1)}; published {percent(published.top1)}"
    )
    if interval.high >= published.top1:
        return right(name, text)
    return wrong(
        name,
        text,
        Finding(
            check=name,
            what="The model is less accurate than published.",
            sure="likely",
            evidence=f"{text} ({published.source})",
            advice="Check preprocessing and labels; where both are right, these images are harder than ImageNet's.",
        ),
    )
