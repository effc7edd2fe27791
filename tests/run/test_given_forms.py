"""Runs on the classifier in the forms that users have it in: the files take and give what theirs does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from quantize.commands.benchmark import benchmark
from quantize.commands.benchmark_subjects import BenchmarkRequest
from quantize.commands.predict import predict
from quantize.commands.verify import verify
from quantize.config.run_config import PreprocessingBlock, RunConfig
from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.errors import ConfigError, ModelError
from quantize.evaluation.inference import log_probabilities, scores_of
from quantize.formats.exact import open_exact_session
from quantize.formats.parameters import add_dequantize, add_quantize, new_parameters
from quantize.graph.view import Graph
from quantize.models.artifact import ModelArtifact
from quantize.prediction.preprocessing import model_preprocessing
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.models.test_float32 import in_type
from tests.run.colours import SIDE, colours
from tests.run.conftest import Configured

GIVEN_SCALE = 1.25

Tuned = Callable[[ModelProto, RunConfig], TuneResult]


def channels_last() -> ModelProto:
    """Return the classifier as Keras and tf2onnx write it."""
    model = colours()
    shape = ["N", SIDE, SIDE, 3]
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape))
    model.graph.node[0].input[0] = "turned"
    model.graph.node.insert(0, helper.make_node("Transpose", ["pixels"], ["turned"], "turn", perm=[0, 3, 1, 2]))
    return model


def of_grey() -> ModelProto:
    """Return the classifier for one channel: its first layer takes the same grey for all three."""
    model = colours()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    for weight in model.graph.initializer:
        if weight.name == "w1":
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).sum(axis=1, keepdims=True), "w1"))
    return model


def of_any_size(*, channels: int | str = 3) -> ModelProto:
    """Return the classifier for images of any size, which it pools."""
    model = colours()
    shape = ["N", channels, "height", "width"]
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape))
    return model


def quantized_in_one_place() -> ModelProto:
    """Return the classifier with a pair of QuantizeLinear and DequantizeLinear behind its Relu."""
    graph = Graph(colours())
    second = graph.node("second")
    assert second is not None
    by = new_parameters(graph, "given", GIVEN_SCALE, np.array(0, np.uint8), None)
    add_quantize(graph, "r1", by, "integers")
    graph.set_input(second, 0, add_dequantize(graph, "integers", by))
    return graph.model()


@pytest.fixture
def tuned(brief: None, fast_integers: None, tmp_path: Path) -> Tuned:
    """Return what tunes a model in a folder of its own."""

    def run(model: ModelProto, config: RunConfig) -> TuneResult:
        onnx.save(model, tmp_path / "given.onnx")
        return tune(
            TuneRequest(
                config,
                input_model=tmp_path / "given.onnx",
                output_model=tmp_path / "out",
                workers=1,
                pair_seconds=0.2,
            )
        )

    return run


def check_files(result: TuneResult, config: RunConfig) -> None:
    """Check that both files compute on integers, take and give what the given model does, and say nearly the same.

    ``benchmark``, ``predict`` and ``verify`` have to take them as they are.
    """
    source = ModelArtifact.load(result.run.parent / "given.onnx")
    assert config.data.path is not None
    image = sorted(config.data.path.iterdir())[0]
    for role in ("int8", "qdq"):
        file = ModelArtifact.load(result.run / result.report.model(role).file)
        assert (file.contract.input.dtype, file.contract.output.dtype, file.contract.input_layout) == (
            source.contract.input.dtype,
            source.contract.output.dtype,
            source.contract.input_layout,
        )
        assert file.contract.input.shape[1:] == source.contract.input.shape[1:]
        assert signal_to_noise(source, file, config) > 20
        measured = benchmark(
            BenchmarkRequest(config, input_model=file.path, baseline_model=source.path, mode="accuracy", workers=1)
        )
        assert measured.models[0].name == "fp32"
        own = predict(file.path, [str(image)], threads=1)
        theirs = predict(source.path, [str(image)], preprocessing=config.preprocessing, threads=1)
        assert own.predictions[0].label == theirs.predictions[0].label
    assert "QLinearConv" in result.report.model("int8").ops
    verification = verify(result.run / result.report.model("int8").file)
    assert {line.verdict for line in verification.lines} == {"pass"}


def signal_to_noise(source: ModelArtifact, file: ModelArtifact, config: RunConfig) -> float:
    """Return the median over the images of fp32's log probabilities, around their mean, over the difference, in dB."""
    preprocessing, _ = model_preprocessing(file, PreprocessingBlock())
    assert config.data.path is not None
    images = open_images(config.data.path, None, classes=None).subset(range(24))
    crops = crop_images(images, preprocessing, file.path.parent / "work" / "test-crops", workers=1)
    both = []
    for model in (source, file):
        session = open_exact_session(model.path)
        scores = [scores_of(session, model.contract, batch.images) for batch in Batches(crops, preprocessing, 8)]
        logs = log_probabilities(np.concatenate(scores), model.contract.scores)
        both.append(logs - logs.mean(axis=1, keepdims=True))
    noise = np.maximum(np.square(both[0] - both[1]).sum(axis=1), 1e-12)  # in half precision there may be none
    return float(np.median(10 * np.log10(np.square(both[0]).sum(axis=1) / noise)))


def native(configured: Configured, changes: dict[str, object] | None = None) -> RunConfig:
    return configured({"tuning.engine": "native", "rewrites": "default", **(changes or {})})


def test_channels_last_stay_last_and_the_turn_is_of_integers(tuned: Tuned, configured: Configured) -> None:
    config = native(configured)
    result = tuned(channels_last(), config)

    check_files(result, config)
    nodes = onnx.load(result.run / result.report.model("int8").file).graph.node
    assert [node.op_type for node in nodes][:2] == ["QuantizeLinear", "Transpose"]
    assert result.report.source.input_layout == "NHWC"
    assert result.report.baseline.ops["Transpose"] == 1


@pytest.mark.parametrize("contract", ["as-is", "uint8-nhwc"])
def test_one_channel_is_of_grey_crops(tuned: Tuned, configured: Configured, contract: str) -> None:
    config = native(configured, {"preprocessing.channel_order": None, "data.labels": None, "input_contract": contract})
    result = tuned(of_grey(), config)

    section = result.report.preprocessing
    assert (section.channel_order, section.mean, section.std) == ("L", (0.0,), (1.0,))
    if contract == "as-is":
        check_files(result, config)
        return
    file = ModelArtifact.load(result.run / result.report.model("int8").file)
    assert (file.contract.input.dtype, file.contract.input.shape) == ("uint8", ("N", SIDE, SIDE, 1))
    assert {line.verdict for line in verify(file.path).lines} == {"pass"}


@pytest.mark.parametrize("channels", [3, "channels"])
def test_a_model_of_any_size_keeps_it_and_the_settings_give_the_crop(
    tuned: Tuned, configured: Configured, channels: int | str
) -> None:
    config = native(configured)
    result = tuned(of_any_size(channels=channels), config)

    check_files(result, config)
    file = ModelArtifact.load(result.run / result.report.model("qdq").file)
    assert file.contract.input.shape[2:] == ("height", "width")
    assert result.report.preprocessing.resize == SIDE


@pytest.mark.parametrize("inside", [False, True])
def test_half_precision_is_compared_with_its_float32_form_and_the_types_stay(
    tuned: Tuned, configured: Configured, inside: bool
) -> None:
    config = native(configured)
    result = tuned(in_type(channels_last(), onnx.TensorProto.FLOAT16, inside=inside), config)

    check_files(result, config)
    assert "float16" in result.report.notes[0]
    assert result.report.source.input_dtype == ("float32" if inside else "float16")


def test_a_grid_that_is_given_is_kept_and_the_rest_is_quantized_around_it(tuned: Tuned, configured: Configured) -> None:
    config = native(configured)
    result = tuned(quantized_in_one_place(), config)

    check_files(result, config)
    graph = Graph(onnx.load(result.run / result.report.model("int8").file))
    scales = [graph.constant(node.input[6]) for node in graph.nodes if node.op_type == "QLinearConv"]
    assert any(scale is not None and scale == np.float32(GIVEN_SCALE) for scale in scales)
    assert "1 activation are as given" in result.report.notes[0]


def test_given_grids_are_chosen_anew_on_request(tuned: Tuned, configured: Configured) -> None:
    config = configured({"tuning.engine": "ort", "model.requantize": True})
    result = tuned(quantized_in_one_place(), config)

    check_files(result, config)
    assert all(
        np.float32(GIVEN_SCALE) not in onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(result.run / result.report.model("int8").file).graph.initializer
        if tensor.name.endswith("scale")
    )


@pytest.mark.parametrize("role", ["int8", "qdq"])
def test_a_model_that_is_quantized_as_a_whole_is_tuned_anew_on_request_only(
    tuned: Tuned, configured: Configured, ort_run: TuneResult, role: str
) -> None:
    given = onnx.load(ort_run.run / ort_run.report.model("int8" if role == "int8" else "qdq").file)
    with pytest.raises(ModelError, match="quantized already") as caught:
        tuned(given, native(configured))
    assert "--requantize" in str(caught.value.advice)

    config = native(configured, {"model.requantize": True})
    result = tuned(given, config)

    check_files(result, config)
    assert result.report.baseline.ops.get("QuantizeLinear") is None
    assert "taken back to float" in result.report.notes[0]


def test_an_engine_that_cannot_keep_grids_says_which_can(tuned: Tuned, configured: Configured) -> None:
    with pytest.raises(ConfigError, match="cannot keep the grids") as caught:
        tuned(quantized_in_one_place(), configured({"tuning.engine": "ort"}))
    assert "--engine native" in str(caught.value.advice)


def test_quantization_that_cannot_be_undone_is_refused(tuned: Tuned, configured: Configured) -> None:
    model = colours()
    node = next(node for node in model.graph.node if node.name == "relu")
    node.input[0] = "dynamic"
    model.graph.node.extend(
        [
            helper.make_node("DynamicQuantizeLinear", ["c1"], ["i", "s", "z"], "measure"),
            helper.make_node("DequantizeLinear", ["i", "s", "z"], ["dynamic"], "numbers"),
        ]
    )
    with pytest.raises(ModelError, match="cannot be undone"):
        tuned(model, native(configured, {"model.requantize": True}))
