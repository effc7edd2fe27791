"""Raw pixels in, the normalization in the first Conv."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.errors import ModelError
from quantize.formats import to_qdq, to_qlinear
from quantize.models.batch_size import set_batch
from quantize.rewrites import rewrite, select_rewrites
from quantize.rewrites.channel_affine import CONTRACTS, ChannelAffine, InputContract, contract_input
from quantize.rewrites.contract_check import check_input_contract, compare_contract, fold_nearest
from quantize.rewrites.input_contract import fold_input_contract
from tests.formats.plain_quantizer import quantized
from tests.formats.small_graphs import run

SIDE = 13


def _preprocessing(order: str, *, per_channel: bool) -> Preprocessing:
    mean = (0.485, 0.456, 0.406) if per_channel else (0.5, 0.4, 0.45)
    std = (0.229, 0.224, 0.31) if per_channel else (0.25, 0.25, 0.25)
    values: dict[str, Any] = {"resize_mode": "square", "resize": SIDE, "interpolation": "bilinear"}
    return Preprocessing(**values, channel_order=order, scale=1 / 255, mean=mean, std=std)


def _model(kernel: int, stride: int, pads: list[int], *, bias: bool, opset: int = 13, side: int = SIDE) -> ModelProto:
    """Return an fp32 classifier of two Convs."""
    random = np.random.default_rng(7)
    weights = {
        "w": random.normal(0, 0.3, (8, 3, kernel, kernel)),
        "b": random.normal(0, 0.3, 8),
        "v": random.normal(0, 0.4, (10, 8, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"] if bias else ["x", "w"], ["y"], name="first", pads=pads,
                         strides=[stride, stride], kernel_shape=[kernel, kernel]),
        helper.make_node("Relu", ["y"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "v"], ["z"], name="second"),
        helper.make_node("GlobalAveragePool", ["z"], ["scores"], name="mean"),
    ]  # fmt: skip
    arrays = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    given_ = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, side, side])]
    made = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10, 1, 1])]
    graph = helper.make_graph(nodes, "classifier", given_, made, arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def _crops(side: int = SIDE) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (4, side, side, 3)).astype(np.uint8)


def _scores(model: ModelProto, given_: NDArray[Any]) -> NDArray[Any]:
    return run(model, {model.graph.input[0].name: given_})[0].reshape(len(given_), -1)


@given(
    st.sampled_from(CONTRACTS),
    st.integers(1, 5),
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from(["RGB", "BGR"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([12, 13]),
)
@settings(deadline=None, max_examples=40)
def test_an_fp32_model_scores_the_same_under_every_contract(
    contract: InputContract,
    kernel: int,
    stride: int,
    padded: bool,
    order: str,
    per_channel: bool,
    bias: bool,
    opset: int,
) -> None:
    pads = [kernel // 2, kernel // 2, kernel // 2, kernel - 1] if padded else [0, 0, 0, 0]
    preprocessing = _preprocessing(order, per_channel=per_channel)
    model = _model(kernel, stride, pads, bias=bias, opset=opset)
    folded = fold_input_contract(model, contract, preprocessing)
    onnx.checker.check_model(folded, full_check=True)
    expected = _scores(model, preprocessing.normalize(_crops()))
    scores = _scores(folded, contract_input(contract, preprocessing, _crops()))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@given(
    st.sampled_from(CONTRACTS[1:]),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from(["RGB", "BGR"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_a_quantized_model_moves_by_rounding_only_and_formats_stay_equal(
    contract: InputContract, kernel: int, padded: bool, order: str, per_channel: bool
) -> None:
    preprocessing = _preprocessing(order, per_channel=per_channel)
    pads = [0, 0, kernel // 2, kernel // 2] if padded else [0, 0, 0, 0]
    model = _model(kernel, 2, pads, bias=True)
    images = preprocessing.normalize(_crops())
    source = quantized(model, images, float_ops=("GlobalAveragePool",))
    folded = fold_input_contract(source, contract, preprocessing, reference=model)
    expected = _scores(model, images)
    size = np.sqrt(np.mean(expected**2))
    given_ = contract_input(contract, preprocessing, _crops())
    scores = []
    for form in (to_qlinear(folded), to_qdq(folded)):
        onnx.checker.check_model(form, full_check=True)
        scores.append(_scores(form, given_))
    np.testing.assert_array_equal(scores[0], scores[1])
    before = np.sqrt(np.mean((_scores(source, images) - expected) ** 2)) / size
    after = np.sqrt(np.mean((scores[0] - expected) ** 2)) / size
    assert after < max(2 * before, 0.1 if padded else 0.03)  # a border of two pixels around 13 is a large share


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@pytest.mark.parametrize("contract", ["uint8-nchw", "uint8-nhwc"])
@pytest.mark.parametrize("side", [13, 16, 24])
def test_raw_pixels_go_through_the_other_rewrites(contract: InputContract, side: int) -> None:
    preprocessing = _preprocessing("BGR", per_channel=True)
    model = _model(3, 2, [0, 0, 1, 1], bias=True, side=side)
    source = quantized(model, preprocessing.normalize(_crops(side)), float_ops=("GlobalAveragePool",))
    folded = fold_input_contract(source, contract, preprocessing, reference=model)
    given_ = contract_input(contract, preprocessing, _crops(side))
    stem = [rewrite for rewrite in select_rewrites("default") if rewrite.declares.kind == "exact"]
    done = rewrite(folded, stem, images=[given_])
    assert "QuantizeLinear" not in [node.op_type for node in done.qlinear.graph.node]
    assert {record.name for record in done.records if record.kept} >= {
        *("space-to-depth", "stem-by-rows", "stem-by-columns")
    }
    expected = _scores(to_qlinear(folded), given_)
    np.testing.assert_array_equal(_scores(done.qlinear, given_), expected)
    np.testing.assert_array_equal(_scores(done.qdq, given_), expected)


@pytest.mark.parametrize("batch", [3, 4, 32])
def test_every_image_counts_once_whatever_batch_size_a_model_requires(batch: int) -> None:
    preprocessing = _preprocessing("BGR", per_channel=True)
    model = _model(3, 2, [0, 0, 1, 1], bias=True)
    source = quantized(model, preprocessing.normalize(_crops()), float_ops=("GlobalAveragePool",))
    folded = fold_input_contract(source, "uint8-nhwc", preprocessing, reference=model)
    expected = compare_contract(source, folded, "uint8-nhwc", preprocessing, _crops())
    for form in (source, folded):
        set_batch(form.graph, batch)
    comparison = compare_contract(source, folded, "uint8-nhwc", preprocessing, _crops())
    assert comparison.images == expected.images == 4
    assert comparison.relative == pytest.approx(expected.relative, rel=1e-4)


def test_equal_factors_leave_the_weights_as_they_are() -> None:
    preprocessing = _preprocessing("BGR", per_channel=False)
    model = _model(3, 2, [0, 0, 0, 0], bias=True)
    source = to_qlinear(quantized(model, preprocessing.normalize(_crops())))
    folded = to_qlinear(fold_input_contract(source, "uint8-nhwc", preprocessing))

    def first(form: ModelProto) -> NDArray[Any]:
        node = next(node for node in form.graph.node if node.op_type == "QLinearConv")
        tensor = next(tensor for tensor in form.graph.initializer if tensor.name == node.input[3])
        return np.asarray(numpy_helper.to_array(tensor))

    np.testing.assert_array_equal(first(folded), first(source)[:, ::-1])


def test_the_declared_input_says_what_is_taken() -> None:
    preprocessing = _preprocessing("RGB", per_channel=True)
    folded = fold_input_contract(_model(3, 2, [0] * 4, bias=True), "uint8-nhwc", preprocessing)
    value = folded.graph.input[0]
    assert value.type.tensor_type.elem_type == TensorProto.UINT8
    dims = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
    assert dims == ["N", SIDE, SIDE, 3]


def test_a_contract_that_moves_the_scores_further_is_refused() -> None:
    preprocessing = _preprocessing("RGB", per_channel=True)
    model = _model(3, 2, [0] * 4, bias=True)
    folded = fold_input_contract(model, "uint8-nhwc", preprocessing)
    moved = check_input_contract(model, folded, "uint8-nhwc", preprocessing, _crops())
    assert moved.relative < 1e-5
    other = fold_input_contract(model, "uint8-nhwc", _preprocessing("BGR", per_channel=True))
    with pytest.raises(ModelError, match="moves the scores by more than rounding"):
        check_input_contract(model, other, "uint8-nhwc", preprocessing, _crops())


def test_the_first_weight_is_rounded_again_from_what_the_engine_began_with() -> None:
    preprocessing = _preprocessing("BGR", per_channel=True)
    model = _model(3, 2, [0, 0, 1, 1], bias=True)
    equalized = onnx.ModelProto.FromString(model.SerializeToString())
    factors = 2.0 ** np.arange(-4, 4)
    for tensor in equalized.graph.initializer:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        by = factors.reshape(1, -1, 1, 1) if tensor.name == "v" else 1 / factors
        by = by.reshape(-1, 1, 1, 1) if tensor.name == "w" else by
        tensor.CopyFrom(numpy_helper.from_array((values * by).astype(np.float32), tensor.name))
    source = quantized(equalized, preprocessing.normalize(_crops()), float_ops=("GlobalAveragePool",))

    def moved(folded: ModelProto) -> float:
        return compare_contract(source, folded, "uint8-nhwc", preprocessing, _crops()).relative

    assert moved(fold_input_contract(source, "uint8-nhwc", preprocessing, reference=model)) > 0.5
    ways = [
        fold_input_contract(source, "uint8-nhwc", preprocessing, reference=reference) for reference in (equalized, None)
    ]
    taken = fold_nearest(source, "uint8-nhwc", preprocessing, _crops(), fp32=model, references=(model, equalized, None))
    assert taken in ways
    assert moved(taken) < 0.05


def test_as_is_and_the_presets_own_contract_return_the_model_itself() -> None:
    model = _model(3, 2, [0] * 4, bias=True)
    assert fold_input_contract(model, "as-is", _preprocessing("BGR", per_channel=True)) is model
    assert fold_input_contract(model, "imagenet", PRESETS["imagenet"]) is model


def test_a_native_zero_is_the_means_pixel() -> None:
    affine = ChannelAffine.between("uint8-nhwc", PRESETS["caffe"])
    np.testing.assert_allclose(affine.padding, PRESETS["caffe"].mean)


def test_an_input_that_no_conv_reads_is_refused() -> None:
    model = _model(3, 2, [0] * 4, bias=True)
    model.graph.node[0].input[0] = "negative"
    model.graph.node.insert(0, helper.make_node("Neg", ["x"], ["negative"], name="neg"))
    with pytest.raises(ModelError, match="needs a Conv that reads the input first") as error:
        fold_input_contract(model, "uint8-nhwc", _preprocessing("RGB", per_channel=True))
    assert "Neg" in str(error.value)
