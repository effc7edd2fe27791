from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from quantize.engines.inc.constraints import check_heeded, op_name_dict, op_type_dict
from quantize.engines.inc.decision import OpDecision
from quantize.engines.inc.settings import IncSettings
from quantize.errors import EngineError

FLOAT = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
CONV = OpDecision(
    "conv1", "Conv", (("dtype", "uint8"), ("algorithm", "minmax")), (("dtype", "int8"), ("granularity", "per_channel"))
)
POOL = OpDecision("pool", "GlobalAveragePool", (("dtype", "fp32"),))


def graph(*ops: tuple[str, str]) -> onnx.ModelProto:
    """Return a chain of ops, which need not be able to run."""
    nodes = [
        helper.make_node(op_type, [str(index)], [str(index + 1)], name) for index, (name, op_type) in enumerate(ops)
    ]
    chain = helper.make_graph(nodes, "chain", [], [helper.make_empty_tensor_value_info(str(len(ops)))])
    return helper.make_model(chain, opset_imports=[helper.make_opsetid("", 13)])


def test_the_head_stays_float_by_default():
    assert op_type_dict(IncSettings()) == {"GlobalAveragePool": FLOAT, "Softmax": FLOAT}


def test_a_constraint_on_the_whole_model_does_not_reach_the_head():
    types = op_type_dict(IncSettings(model_wise={"activation": {"algorithm": "kl"}}))
    assert list(types) == [".*", "GlobalAveragePool", "Softmax"]
    assert types[".*"] == {"activation": {"algorithm": ["kl"]}}


def test_a_constraint_on_an_op_type_replaces_the_float_head():
    constraint = {"activation": {"dtype": ["uint8"]}}
    assert op_type_dict(IncSettings(optype_wise={"Softmax": constraint}))["Softmax"] == constraint


def test_a_pad_that_an_activation_reads_stays_in_float():
    model = graph(("pad", "Pad"), ("relu", "Relu"), ("other", "Pad"), ("conv", "Conv"))
    assert op_name_dict(IncSettings(), model).get("pad") == FLOAT
    assert op_name_dict(IncSettings(), graph(("pad", "Pad"), ("conv", "Conv"))).get("pad") is None


@pytest.mark.parametrize(
    ("inputs", "stays"), [(["amounts"], False), (["amounts", "v"], True), (["amounts", "", "axes"], True)]
)
def test_a_pad_that_names_its_value_or_its_axes_stays_in_float(inputs, stays):
    model = graph(("pad", "Pad"), ("conv", "Conv"))
    model.graph.node[0].input.extend(inputs)
    assert (op_name_dict(IncSettings(), model).get("pad") == FLOAT) == stays


def test_an_op_of_the_head_can_be_asked_to_be_quantized():
    settings = IncSettings(op_wise={"pool": {"activation": {"dtype": "uint8"}}})
    assert op_name_dict(settings, graph(("pool", "GlobalAveragePool"))) == {
        "pool": {"activation": {"dtype": ["uint8"]}}
    }


def test_a_pattern_without_a_dtype_leaves_the_head_in_float():
    settings = IncSettings(op_wise={".*": {"weight": {"granularity": "per_tensor"}}})
    names = op_name_dict(settings, graph(("conv1", "Conv"), ("a.pool", "GlobalAveragePool")))
    assert names == {".*": {"weight": {"granularity": ["per_tensor"]}}, r"a\.pool": FLOAT}


def test_integers_or_fp32_means_integers_with_fp32_left_to_the_strategy():
    settings = IncSettings(op_wise={"conv1": {"activation": {"dtype": ["uint8", "fp32"]}}})
    assert op_name_dict(settings, graph(("conv1", "Conv")))["conv1"]["activation"]["dtype"] == ["uint8"]


def test_heeded_constraints_pass():
    settings = IncSettings(
        op_wise={"conv.": {"weight": {"granularity": ["per_channel"]}}, "pool": {"activation": {"dtype": "fp32"}}},
        model_wise={"activation": {"algorithm": ["minmax", "kl"]}},
    )
    check_heeded(settings, [CONV, POOL])


def test_a_name_that_matches_no_op_is_refused_with_the_nearest():
    with pytest.raises(EngineError, match="nearest: conv1"):
        check_heeded(IncSettings(op_wise={"conv_1": FLOAT}), [CONV, POOL])


def test_a_constraint_dropped_without_a_word_is_refused():
    with pytest.raises(EngineError, match="cannot make activation algorithm kl"):
        check_heeded(IncSettings(op_wise={"conv1": {"activation": {"algorithm": "kl"}}}), [CONV, POOL])


def test_ops_that_a_strategy_begins_with_in_fp32_tell_nothing():
    check_heeded(IncSettings(op_wise={"pool": {"activation": {"algorithm": "kl"}}}), [CONV, POOL])


def test_a_broken_pattern_is_refused():
    with pytest.raises(EngineError, match="not a regular expression"):
        check_heeded(IncSettings(op_wise={"conv(1": FLOAT}), [CONV])


@pytest.mark.parametrize("name", ["random", "hawq_v2", "basics", ""])
def test_a_strategy_that_does_not_work_is_refused_with_those_that_do(name: str):
    with pytest.raises(EngineError, match="auto, conservative, basic, mse, mse_v2, bayesian, exhaustive"):
        IncSettings(strategy=name)


def test_a_misspelt_strategy_is_answered_with_the_nearest():
    with pytest.raises(EngineError, match="did you mean 'bayesian'"):
        IncSettings(strategy="baysian")


def test_dynamic_quantization_is_refused():
    with pytest.raises(EngineError, match="only static"):
        IncSettings(approach="post_training_dynamic_quant")


def test_the_bias_of_the_scores_stays_float():
    scores = graph(("a.fc", "Gemm"), ("flat", "Flatten"), ("softmax", "Softmax"))
    assert op_name_dict(IncSettings(), scores) == {r"a\.fc_Add": FLOAT, "softmax": FLOAT}


def test_a_bias_added_by_an_op_of_its_own_stays_float():
    assert list(op_name_dict(IncSettings(), graph(("fc", "MatMul"), ("bias", "Add")))) == [
        "bias",
        "fc/MatMulAddFusion_Add",
    ]


def test_an_addition_that_is_no_bias_is_not_part_of_the_head():
    assert op_name_dict(IncSettings(), graph(("conv", "Conv"), ("residual", "Add"))) == {}


def test_additions_that_were_asked_for_are_left_alone():
    settings = IncSettings(optype_wise={"Add": {"activation": {"dtype": "uint8"}}})
    assert op_name_dict(settings, graph(("fc", "Gemm"))) == {}


def test_a_float_convolution_does_not_quantize_the_bias_of_the_scores():
    settings = IncSettings(op_wise={"conv": FLOAT})
    assert op_name_dict(settings, graph(("conv", "Conv"), ("fc", "Gemm"))) == {"conv": FLOAT, "fc_Add": FLOAT}


def test_an_op_that_onnxruntime_cannot_compute_on_integers_stays_in_float_unless_it_is_asked_for():
    image, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 4]) for name in ("0", "1"))
    node = helper.make_node("ReduceMean", ["0"], ["1"], "a.mean", axes=[2, 3])
    model = helper.make_model(
        helper.make_graph([node], "mean", [image], [result]), opset_imports=[helper.make_opsetid("", 13)]
    )
    assert op_name_dict(IncSettings(), model) == {r"a\.mean": FLOAT}
    asked = {"activation": {"dtype": ["uint8"]}}
    assert op_name_dict(IncSettings(op_wise={r"a\.mean": asked}), model) == {r"a\.mean": asked}
