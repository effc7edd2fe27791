"""MaxPool before the activation of a float Conv."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.graph.view import Graph
from quantize.models.session import open_session
from quantize.rewrites import apply_rewrites
from quantize.rewrites.pool_before_activation import POOL_BEFORE_ACTIVATION
from quantize.rewrites.redundant import REDUNDANT
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched

CHANNELS, SIDE = 16, 17


def stem(
    *,
    activation: str | None = "Relu",
    pair: bool = False,
    integer: bool = False,
    zero_point: int = 0,
    pool: dict[str, Any] | None = None,
    seed: int = 0,
    change: str = "",
) -> tuple[ModelProto, Feeds]:
    """Return image, Conv, activation, MaxPool, and a quantized Conv after them.

    Args:
        activation: Op type, or None.
        pair: Whether to quantize and dequantize before the pool as well.
        integer: The first Conv computes in integers.
        zero_point: Of what the pool gives.
        pool: Attributes of the pool.
        seed: Of weights and images.
        change: What else is about it: ``another reader``, ``an output``, ``indices``, ``pooled in float``, ``by
            others``.
    """
    draw = np.random.default_rng(seed)
    constants = {
        "w1": draw.normal(0, 0.5, (CHANNELS, 3, 3, 3)).astype(np.float32),
        "b1": draw.normal(0, 0.5, CHANNELS).astype(np.float32),
        "scale": np.float32(4 / 255),
        "zero": np.uint8(zero_point),
        "other_scale": np.float32(5 / 255),
        "low": np.float32(0.25),
        "high": np.float32(2.0),
        "w2": draw.integers(-60, 60, (8, CHANNELS, 1, 1)).astype(np.int8),
        "w2_scale": np.float32(0.01),
        "w2_zero": np.int8(0),
        "scores_scale": np.float32(0.05),
        "scores_zero": np.uint8(128),
        "image_scale": np.float32(0.02),
        "image_zero": np.uint8(128),
    }
    nodes: list[NodeProto] = []

    def add(op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op_type, inputs, [output], f"{output}_node", **attributes))
        return output

    def quantized(name: str, by: list[str]) -> str:
        return add("DequantizeLinear", [add("QuantizeLinear", [name, *by], f"{name}_q"), *by], f"{name}_dq")

    image, weight, by = "image", "w1", ["scale", "zero"]
    if integer:
        constants["w1"] = np.clip(np.rint(constants["w1"] * 50), -127, 127).astype(np.int8)
        image = quantized(image, ["image_scale", "image_zero"])
        weight = add("DequantizeLinear", ["w1", "w2_scale", "w2_zero"], "w1_dq")
    now = conv = add("Conv", [image, weight, "b1"], "conv", pads=[1, 1, 1, 1])
    if activation is not None:
        now = add(activation, [now, *(["low", "high"] if activation == "Clip" else [])], "activated")
    if pair:
        now = quantized(now, ["other_scale", "zero"] if change == "by others" else by)
    read = now
    now = add("MaxPool", [now], "pooled", **{"kernel_shape": [3, 3], "strides": [2, 2], **(pool or {})})
    if change == "indices":
        nodes[-1].output.append("indices")
    now = now if change == "pooled in float" else quantized(now, by)
    weights = add("DequantizeLinear", ["w2", "w2_scale", "w2_zero"], "w2_dq")
    now = quantized(add("Conv", [now, weights], "hidden"), ["scores_scale", "scores_zero"])
    last = add("GlobalAveragePool", [now], "mean")
    if change == "another reader":
        more = add("GlobalAveragePool", [conv if activation is None else read], "more")
        last = add("Concat", [last, more], "both", axis=1)
    outputs = [last, *(["indices"] if change == "indices" else [read] if change == "an output" else [])]
    kinds = {"indices": TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "stem",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), [None] * 4) for name in outputs],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
    )
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    model.ir_version = 8
    return model, {"image": draw.normal(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)}


def chain(model: ModelProto) -> list[str]:
    """Return the op types from the first Conv to the first QuantizeLinear."""
    graph = Graph(model)
    node = next(node for node in graph.sorted_nodes() if node.op_type == "Conv")
    types = [node.op_type]
    while types[-1] != "QuantizeLinear":
        (node,) = graph.consumers(node.output[0])
        types.append(node.op_type)
    return types


_POOLS = st.one_of(
    st.fixed_dictionaries(
        {
            "kernel_shape": st.lists(st.integers(1, 4), min_size=2, max_size=2),
            "strides": st.lists(st.integers(1, 4), min_size=2, max_size=2),
        },
        optional={
            "pads": st.lists(st.integers(0, 3), min_size=4, max_size=4),
            "ceil_mode": st.integers(0, 1),
            "dilations": st.lists(st.integers(1, 2), min_size=2, max_size=2),
        },
    ).filter(lambda pool: all(pad < min(pool["kernel_shape"]) for pad in pool.get("pads", []))),
    st.fixed_dictionaries(
        {
            "kernel_shape": st.lists(st.integers(2, 4), min_size=2, max_size=2),
            "strides": st.lists(st.integers(1, 4), min_size=2, max_size=2),
            "auto_pad": st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]),
        }
    ),
)


@given(
    activation=st.sampled_from([None, "Relu", "Clip", "LeakyRelu", "HardSwish"]),
    pair=st.booleans(),
    integer=st.booleans(),
    zero_point=st.sampled_from([0, 100]),
    pool=_POOLS,
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=60)
def test_any_stem_keeps_every_bit_or_is_left_alone(
    activation: str | None, pair: bool, integer: bool, zero_point: int, pool: dict[str, Any], seed: int
) -> None:
    activation = "HardSigmoid" if activation == "HardSwish" else activation  # HardSwish is of opset 14
    source, feeds = stem(activation=activation, pair=pair, integer=integer, zero_point=zero_point, pool=pool, seed=seed)
    names, after = apply(POOL_BEFORE_ACTIVATION, source)
    assert bool(names) <= (not integer and activation != "HardSigmoid")
    if names:
        assert_declared(POOL_BEFORE_ACTIVATION, source, after, feeds)


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("activation", ["Relu", "Clip", "LeakyRelu"])
def test_the_pool_comes_before_the_activation(activation: str, pair: bool) -> None:
    source, feeds = stem(activation=activation, pair=pair, pool={"pads": [1, 1, 1, 1]})
    names, after = apply(POOL_BEFORE_ACTIVATION, source)
    assert names == ["pooled_node"]
    assert chain(after) == ["Conv", "MaxPool", activation, "QuantizeLinear"]
    assert chain(to_qlinear(after))[:2] == chain(to_qdq(after))[:2] == ["Conv", "MaxPool"]
    assert_declared(POOL_BEFORE_ACTIVATION, source, after, feeds)


@pytest.mark.parametrize("pair", [False, True])
def test_a_relu_that_the_zero_point_stands_for_is_written_out(pair: bool) -> None:
    bare, feeds = apply(REDUNDANT, stem(pair=pair)[0])[1], stem()[1]
    if pair:
        assert chain(bare) == ["Conv", "QuantizeLinear"]
    _, after = apply(POOL_BEFORE_ACTIVATION, bare)
    assert chain(after) == ["Conv", "MaxPool", "Relu", "QuantizeLinear"]
    assert_declared(POOL_BEFORE_ACTIVATION, bare, after, feeds)


@pytest.mark.parametrize(
    "settings",
    [
        {"integer": True},
        {"integer": True, "pair": True},
        {"activation": None, "zero_point": 100},
        {"activation": "HardSigmoid"},
        {"change": "another reader"},
        {"change": "an output"},
        {"change": "indices"},
        {"change": "pooled in float"},
        {"change": "by others", "pair": True},
        {"pool": {"dilations": [2, 2], "pads": [1, 1, 1, 1]}},
        {"pool": {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1}},
    ],
    ids=str,
)
def test_other_stems_are_left_alone(settings: dict[str, Any]) -> None:
    assert_untouched(POOL_BEFORE_ACTIVATION, stem(**settings)[0])


@pytest.mark.parametrize("pool", [{"dilations": [2, 2]}, {"ceil_mode": 1}, {"auto_pad": "SAME_UPPER"}], ids=str)
def test_pools_whose_windows_are_never_empty_are_taken(pool: dict[str, Any]) -> None:
    source, feeds = stem(pool=pool)
    names, after = apply(POOL_BEFORE_ACTIVATION, source)
    assert names == ["pooled_node"]
    assert_declared(POOL_BEFORE_ACTIVATION, source, after, feeds)


@pytest.mark.parametrize("pair", [False, True])
def test_onnxruntime_pools_floats_then(pair: bool, tmp_path: Any) -> None:
    source, _ = stem(pair=pair)
    _, after = apply(POOL_BEFORE_ACTIVATION, source)

    def pooled_type(model: ModelProto, name: str) -> int:
        path = tmp_path / f"{name}.onnx"
        open_session(model.SerializeToString(), optimized_path=path)
        graph = onnx.load(path).graph
        (pool,) = [node for node in graph.node if node.op_type == "MaxPool"]
        quantizes = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
        return TensorProto.UINT8 if pool.input[0] in quantizes else TensorProto.FLOAT

    for write in (to_qdq, to_qlinear):
        assert pooled_type(write(canonical(source)), "before") == TensorProto.UINT8
        assert pooled_type(write(after), "after") == TensorProto.FLOAT


def test_it_is_among_the_default_and_the_native_engine_applies_it_after_redundant() -> None:
    source, _ = stem(pair=True)
    after = apply_rewrites(to_qdq(source), ["redundant", "pool-before-activation"])
    assert chain(after) == ["Conv", "MaxPool", "Relu", "QuantizeLinear"]
