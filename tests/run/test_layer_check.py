"""Layers of written files that do something else than their grids predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from quantize.formats.exact import open_exact_session
from quantize.report.markdown import markdown
from quantize.run.layer_check import WrongLayerError
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.colours import SIDE, chosen_candidate, colours, overflowing, top1_of
from tests.run.conftest import Configured, EndedSearch


def test_a_good_run_says_which_layers_were_checked_and_the_worst_of_them(colour_run: TuneResult) -> None:
    check = colour_run.report.layer_check
    assert check is not None
    assert {"first", "second"} <= set(check.checked)
    assert check.to_float == ()
    assert check.worst is not None
    assert 0 < check.worst.ratio < 2 < check.allowed


@pytest.mark.usefixtures("brief")
def test_a_layer_whose_bias_overflowed_computes_in_float_and_the_user_is_told(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended_search(overflowing(chosen_candidate(colour_run), 2))
    request = TuneRequest(
        configured(), criterion="none", input_model=colour_model, output_model=tmp_path / "out", workers=1
    )
    report = tune(request).report
    assert report.layer_check is not None
    assert {finding.layer for finding in report.layer_check.to_float} == {"second"}
    assert {finding.file for finding in report.layer_check.to_float} == {"int8", "qdq"}
    assert (report.chosen.int8_layers, report.chosen.layers) == (1, 2)
    told = [sentence for sentence in report.verdict.reasons if sentence.startswith("Layer second")]
    assert told == [warning.message for warning in caplog.records if "Layer second" in warning.message]
    assert told[0].endswith(" times that): it computes in float.")
    assert "Layer second (Conv) has an error of" in markdown(report)
    images = np.random.default_rng(0).uniform(0, 255, (8, 3, SIDE, SIDE)).astype(np.float32)
    scores = [
        open_exact_session(model).run(None, {"pixels": images})[0]
        for model in (colours(), *(tmp_path / "out" / model.file for model in report.models))
    ]
    for own in scores[1:]:
        np.testing.assert_allclose(own, scores[0], atol=0.03)


@pytest.mark.usefixtures("brief")
def test_top1_is_that_of_the_layer_in_float(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch
) -> None:
    ended_search(overflowing(chosen_candidate(colour_run), 2))
    result = tune(TuneRequest(configured(), input_model=colour_model, output_model=tmp_path / "out", workers=1))
    assert [top1_of(model) for model in result.report.models] == [1.0, 1.0]


@pytest.mark.usefixtures("brief")
def test_where_float_does_not_help_no_file_is_written_and_the_message_says_which_layer(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch
) -> None:
    broken = chosen_candidate(colour_run)
    maker = next(node for node in broken.graph.node if node.name == "second")
    broken.graph.initializer.append(numpy_helper.from_array(np.array(-1.0, np.float32), "wrong"))
    negated = helper.make_node("Mul", ["c2_as_it_was", "wrong"], [maker.output[0]], "negated")
    maker.output[0] = "c2_as_it_was"
    broken.graph.node.insert(list(broken.graph.node).index(maker) + 1, negated)
    onnx.checker.check_model(broken)
    ended_search(broken)
    run = tmp_path / "out"
    request = TuneRequest(configured(), criterion="none", input_model=colour_model, output_model=run, workers=1)
    with pytest.raises(WrongLayerError, match=r"^Layer second \(Conv\) has an error of .* No file is written\.$"):
        tune(request)
    assert not list(run.glob("*.onnx"))
    assert not (run / "report.json").exists()
