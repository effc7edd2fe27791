from __future__ import annotations

import numpy as np

from quantize.report.layer_words import check_sentences, check_words
from quantize.report.models import LayerCheckSection, LayerFindingSection, Role


def finding(layer: str, ratio: float, file: Role = "int8") -> LayerFindingSection:
    return LayerFindingSection(layer=layer, op_type="Conv", file=file, error=0.02 * ratio, predicted=0.02, ratio=ratio)


def check(*to_float: LayerFindingSection, images: int = 4) -> LayerCheckSection:
    worst = finding("stem", 1.314)
    return LayerCheckSection(images=images, checked=("stem",), allowed=4.0, worst=worst, to_float=to_float)


def test_the_worst_layer_is_named() -> None:
    assert check_words(check()) == (
        "Fed with fp32's values of 4 calibration images, no layer has more than 1.31 times the error that its int8 "
        "grids predict (layer stem, QLinear). Above 4 times, a layer computes in float."
    )
    assert "of one calibration image," in check_words(check(images=1))


def test_nothing_is_said_of_layers_where_none_is_in_int8() -> None:
    nothing = LayerCheckSection(images=4, checked=(), allowed=4.0, worst=None)
    assert check_words(nothing) == "No layer of the files computes in int8."
    assert check_sentences(nothing) == check_sentences(None) == []


def test_a_layer_that_went_to_float_is_told_once_by_its_worst_file() -> None:
    told = check_sentences(check(finding("a", 5.0), finding("a", 12345.6, "qdq"), finding("b", 4.6)))
    assert told == [
        "Layer b (Conv) has an error of 0.092 in int8; its grids predict 0.02 (5 times that): it computes in float.",
        "Layer a (Conv) has an error of 247 in int8; its grids predict 0.02 (12,346 times that): it computes in float.",
    ]


def test_a_layer_without_a_prediction_is_told_without_figures() -> None:
    most = float(np.finfo(np.float32).max)
    (told,) = check_sentences(check(finding("norm", 1.0).model_copy(update={"predicted": most, "ratio": most})))
    assert told == (
        "Layer norm (Conv) cannot be held to its int8 grids, which round values to where fp32 computes no number, "
        "such as 1 / 0: it computes in float."
    )
