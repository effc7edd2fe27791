"""What the layers of a run's files do beside what their grids predict, in words."""

from __future__ import annotations

from collections.abc import Mapping

from quantize.report.models import LayerCheckSection, LayerFindingSection

_MOST = 3.4028234663852886e38  # the greatest float32: no error can be predicted

_FORMATS: Mapping[str, str] = {"int8": "QLinear", "qdq": "QDQ"}


def check_sentences(check: LayerCheckSection | None) -> list[str]:
    """Return which layers of the files compute in float because something is wrong with them in int8."""
    if check is None:
        return []
    worst = {finding.layer: finding for finding in sorted(check.to_float, key=lambda finding: finding.ratio)}
    return [f"{wrong_layer(finding)}: it computes in float." for finding in worst.values()]


def check_words(check: LayerCheckSection) -> str:
    """Return how near every layer of the files is to what its grids predict, in one sentence."""
    if check.worst is None:
        return "No layer of the files computes in int8."
    images = "one calibration image" if check.images == 1 else f"{check.images} calibration images"
    return (
        f"Fed with fp32's values of {images}, no layer has more than {check.worst.ratio:.2f} times the error that its "
        f"int8 grids predict (layer {check.worst.layer}, {_FORMATS[check.worst.file]}). Above {check.allowed:g} times, "
        "a layer computes in float."
    )


def wrong_layer(finding: LayerFindingSection) -> str:
    """Return what a layer did, in a sentence without its end."""
    if finding.predicted >= _MOST:
        return (
            f"Layer {finding.layer} ({finding.op_type}) cannot be held to its int8 grids, which round values to where "
            "fp32 computes no number, such as 1 / 0"
        )
    return (
        f"Layer {finding.layer} ({finding.op_type}) has an error of {finding.error:.3g} in int8; its grids "
        f"predict {finding.predicted:.3g} ({finding.ratio:,.0f} times that)"
    )
