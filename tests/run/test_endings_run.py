"""Runs on classifiers that give more than scores, or not even these: the files end as the given one does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.engines.native.search.latency_table import PairedLatency
from quantize.engines.native.search.latency_timer import LatencyTimer
from quantize.errors import ExitCode, ModelError
from quantize.models.artifact import ModelArtifact
from quantize.models.session import open_session
from quantize.report.accuracy_tables import accuracy_table
from quantize.report.integer_share import arithmetic_of
from quantize.run import engine_task
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.engines.native.search.conftest import made_profile
from tests.run.colours import COLOURS, SIDE, colours
from tests.run.conftest import Configured

Form = Callable[[], ModelProto]


def with_ending(
    *steps: tuple[str, list[str], list[str], dict[str, object]], outputs: dict[str, tuple[int, list[int | str]]]
) -> ModelProto:
    """Return the classifier with more nodes and other outputs."""
    model = colours()
    for number, (op_type, inputs, results, kept) in enumerate(steps):
        model.graph.node.append(helper.make_node(op_type, inputs, results, f"end{number}", **kept))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2], np.int64), "two"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    model.graph.initializer.append(numpy_helper.from_array(np.arange(100, 106), "names"))
    del model.graph.output[:]
    for name, (kind, shape) in outputs.items():
        model.graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    return model


def argmax() -> ModelProto:
    return with_ending(
        ("ArgMax", ["scores"], ["best"], {"axis": 1, "keepdims": 0}), outputs={"best": (TensorProto.INT64, ["N"])}
    )


def squeezed_and_cast() -> ModelProto:
    return with_ending(
        ("ArgMax", ["f"], ["row"], {"axis": 1, "keepdims": 1}),
        ("Squeeze", ["row", "one"], ["flat_row"], {}),
        ("Gather", ["names", "flat_row"], ["named"], {}),
        ("Cast", ["named"], ["best"], {"to": TensorProto.FLOAT}),
        outputs={"best": (TensorProto.FLOAT, ["N"])},
    )


def argmax_and_scores() -> ModelProto:
    return with_ending(
        ("ArgMax", ["scores"], ["best"], {"axis": 1, "keepdims": 1}),
        outputs={"best": (TensorProto.INT64, ["N", 1]), "scores": (TensorProto.FLOAT, ["N", len(COLOURS)])},
    )


def two_highest() -> ModelProto:
    return with_ending(
        ("TopK", ["scores", "two"], ["values", "classes"], {"axis": 1}),
        outputs={"values": (TensorProto.FLOAT, ["N", 2]), "classes": (TensorProto.INT64, ["N", 2])},
    )


def features_first() -> ModelProto:
    return with_ending(
        outputs={"f": (TensorProto.FLOAT, ["N", len(COLOURS)]), "scores": (TensorProto.FLOAT, ["N", len(COLOURS)])}
    )


def map_and_scores() -> ModelProto:
    return with_ending(
        outputs={
            "r1": (TensorProto.FLOAT, ["N", 8, SIDE, SIDE]),
            "scores": (TensorProto.FLOAT, ["N", len(COLOURS)]),
        }
    )


@pytest.fixture
def fast_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every layer in int8 halve a candidate's time in native's search: what is measured decides nothing."""

    def timed(
        timer: LatencyTimer, artifact: ModelArtifact, baseline: ModelArtifact | None, *_: object
    ) -> PairedLatency:
        times = [
            0.5 ** arithmetic_of(model.proto()).share if (arithmetic_of(model.proto()).share or 0) > 0 else 1.0
            for model in (baseline or timer._model, artifact)
        ]
        return PairedLatency(baseline_ns=1e6 * times[0], candidate_ns=1e6 * times[1])

    times = {"first": (300, 100), "second": (300, 100)}
    monkeypatch.setattr(LatencyTimer, "_timed", timed)
    monkeypatch.setattr(engine_task, "profiled_pair", lambda *_, **__: made_profile(times, 0.1))


def run_on(model: ModelProto, configured: Configured, place: Path, **settings: object) -> TuneResult:
    onnx.save(model, place / "net.onnx")
    config = configured({"tuning.engine": "native", "rewrites": "default", **settings})
    return tune(
        TuneRequest(config, input_model=place / "net.onnx", output_model=place / "out", workers=1, pair_seconds=0.1)
    )


def values(model: ModelProto | Path) -> dict[str, np.ndarray]:
    """Return a model's outputs on one image of each colour, by name."""
    session = open_session(model if isinstance(model, Path) else model.SerializeToString())
    pixels = np.array(COLOURS, np.float32)[:, :, None, None] * np.ones((1, 1, SIDE, SIDE), np.float32)
    names = [given.name for given in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: pixels}), strict=True))


@pytest.mark.usefixtures("brief", "fast_integers")
@pytest.mark.parametrize(
    ("form", "engine"),
    [(argmax, "native"), (squeezed_and_cast, "ort"), (argmax_and_scores, "ort"), (two_highest, "native")],
)
def test_the_scores_before_a_choice_are_judged_and_the_files_end_as_given(
    form: Form, engine: str, configured: Configured, tmp_path: Path
) -> None:
    model = form()
    result = run_on(model, configured, tmp_path, **{"tuning.engine": engine})
    report, given = result.report, values(model)

    assert result.exit_code is ExitCode.DONE
    assert report.chosen.int8_layers == 2
    assert report.scores is not None
    assert report.scores.tensor == ("f" if form is squeezed_and_cast else "scores")
    assert report.scores.given == (form is argmax_and_scores)
    for section in report.models:
        path = result.run / section.file
        written = onnx.load(path)
        assert [value.SerializeToString() for value in written.graph.output] == [
            value.SerializeToString() for value in model.graph.output
        ]
        own = values(path)
        for name, expected in given.items():
            if expected.dtype.kind == "i" or form is squeezed_and_cast:
                firsts = [array.reshape(len(COLOURS), -1)[:, 0] for array in (own[name], expected)]
                assert (firsts[0] == firsts[1]).all()  # the second best of two is a near tie
        fidelity = section.deciding.evaluation.fidelity
        assert fidelity is not None
        assert fidelity.agreement == 1


@pytest.mark.usefixtures("brief", "fast_integers")
@pytest.mark.parametrize(("form", "engine"), [(features_first, "ort"), (map_and_scores, "native")])
def test_other_outputs_keep_their_names_types_and_values(
    form: Form, engine: str, configured: Configured, tmp_path: Path
) -> None:
    settings = {"tuning.engine": engine, "model.score_output": "scores"}
    result = run_on(form(), configured, tmp_path, **settings)
    report, other = result.report, next(value.name for value in form().graph.output if value.name != "scores")

    assert report.chosen.int8_layers == 2
    assert report.scores is not None
    assert [(kept.role, kept.name) for kept in report.scores.others] == [("int8", other), ("qdq", other)]
    assert all((kept.sqnr_decibel or 0) > 25 for kept in report.scores.others)
    assert not report.scores.warnings
    table = accuracy_table(report)
    assert any(f"Output {other}, not judged" in note for note in table.notes)
    for section in report.models:
        written = onnx.load(result.run / section.file)
        assert [value.name for value in written.graph.output] == [value.name for value in form().graph.output]
        # a file says by itself which of its outputs is judged
        assert ModelArtifact.load(result.run / section.file).contract.output.name == "scores"


@pytest.mark.usefixtures("brief")
def test_a_repeated_run_gives_the_same_files(configured: Configured, tmp_path: Path) -> None:
    first = run_on(argmax(), configured, tmp_path)
    request = TuneRequest(
        configured(), replay=first.run / "report.json", output_model=tmp_path / "again", workers=1, pair_seconds=0.1
    )
    report = tune(request).report

    assert report.replay is not None
    assert report.replay.outcome == "same"


@pytest.mark.usefixtures("brief")
def test_a_new_input_goes_with_an_ending(configured: Configured, tmp_path: Path) -> None:
    result = run_on(argmax(), configured, tmp_path, input_contract="uint8-nhwc")

    files = sorted(tmp_path.glob("out/*.onnx"))
    assert len(files) == 3
    assert {onnx.load(path).graph.output[0].name for path in files} == {"best"}
    assert result.report.input_contract is not None


def test_two_outputs_that_can_be_scores_are_asked_about(configured: Configured, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="several outputs") as error:
        run_on(features_first(), configured, tmp_path)
    assert "--score_output f" in str(error.value)
    assert "scores float32[N, 6]" in str(error.value)


def test_an_output_that_is_no_scores_is_refused_by_name(configured: Configured, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'r1' is no output of class scores"):
        run_on(map_and_scores(), configured, tmp_path, **{"model.score_output": "r1"})
