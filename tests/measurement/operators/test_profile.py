"""What a profile says of the operators of two models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.measurement.operators.bottlenecks import bottlenecks
from quantize.measurement.operators.kinds import float_reason, kind_of, requantizing_concats
from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Peak, Profile
from quantize.measurement.operators.origins import find_origins, multiply_adds, weight_shapes
from quantize.measurement.operators.profile_text import profile_text
from quantize.measurement.operators.speedups import (
    arithmetic_rates,
    costs,
    expected_speedup,
    operator_speedups,
    typical_speedup,
)
from quantize.measurement.operators.trace import NodeTrace, read_trace
from quantize.recipe import Recipe


def node(name: str, op_type: str, *, kind: str = "float", run_ns: int = 1000, shape=(1, 4, 8, 8)) -> NodeTrace:
    return NodeTrace(name, op_type, ((kind, shape),), ((kind, shape),), (run_ns,))


def operator(name: str, op_type: str, kind: str, time_us: float, **more: object) -> OperatorTime:
    fields = {"origin": None, "origin_op": None, "multiply_adds": None, "reason": None, "shape_note": None, **more}
    return OperatorTime.model_validate(
        {"name": name, "op_type": op_type, "kind": kind, "time_ns": time_us * 1000, **fields}
    )


def conv(origin: str, kind: str, time_us: float, count: int, note: str | None = None) -> OperatorTime:
    return operator(
        origin, "Conv", kind, time_us, origin=origin, origin_op="Conv", multiply_adds=count, shape_note=note
    )


@pytest.fixture
def profiled() -> Profile:
    few = "3 input channels"
    before = (conv("conv1", "fp32", 200, 10_000_000, few), conv("conv2", "fp32", 600, 60_000_000))
    before += (operator("cat", "Concat", "fp32", 25, origin="cat", origin_op="Concat"),)
    after = (operator("q", "QuantizeLinear", "conversion", 20),)
    after += (conv("conv1", "int8", 300, 10_000_000, few), conv("conv2", "int8", 200, 60_000_000))
    concat = {"origin": "cat", "origin_op": "Concat", "reason": "unequal scales"}
    after += (operator("cat", "QLinearConcat", "conversion", 50, **concat),)
    after += (
        operator("softmax", "Softmax", "fp32", 10, origin="softmax", origin_op="Softmax", reason="not quantized"),
    )
    return Profile(
        baseline=ModelProfile(name="fp32", operators=before, outside_ns=5000),
        candidate=ModelProfile(name="int8", operators=after, outside_ns=6000),
        peak=Peak(int8=400e9, fp32=100e9, threads=1),
        runs=60,
        threads=1,
    )


@pytest.fixture
def fp32() -> onnx.ModelProto:
    """Return Conv, Relu, Conv, Clip, Gemm with names such as exporters give."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="/stem/Conv"),
        helper.make_node("Relu", ["a"], ["b"], name="/stem/Relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="/block/Conv", group=8),
        helper.make_node("Clip", ["c"], ["d"], name="/block/Clip"),
        helper.make_node("Flatten", ["d"], ["e"], name="/Flatten"),
        helper.make_node("Gemm", ["e", "w3"], ["y"], name="/fc/Gemm", transB=1),
    ]
    weights = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in (("w1", (8, 3, 3, 3)), ("w2", (8, 1, 3, 3)), ("w3", (10, 128)))
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def test_a_trace_gives_each_node_its_time_in_each_run(tmp_path):
    def event(category: str, name: str, begin: int, length: int, **args: object) -> dict[str, object]:
        return {"cat": category, "name": name, "ts": begin, "dur": length, "args": args}

    shapes = {"input_type_shape": [{"uint8": [1, 3]}], "output_type_shape": [{"float": [1]}]}
    events = [event("Session", "session_initialization", 0, 90)]
    for begin, length in ((100, 50), (200, 70)):
        events.append(event("Node", "b_kernel_time", begin + 20, length - 30, op_name="B", node_index="7", **shapes))
        events.append(event("Node", "a_kernel_time", begin + 2, 10, op_name="A", node_index="9", **shapes))
        events.append(event("Node", "a_fence_before", begin + 1, 1, op_name="A"))
        events.append(event("Session", "model_run", begin, length))
    (tmp_path / "trace.json").write_text(json.dumps(events), encoding="utf-8")
    trace = read_trace(tmp_path / "trace.json")
    assert [(n.name, n.op_type, n.runs_ns) for n in trace.nodes] == [
        ("a", "A", (10_000, 10_000)),
        ("b", "B", (20_000, 40_000)),
    ]
    assert trace.nodes[0].inputs == (("uint8", (1, 3)),)
    assert trace.runs_ns == (50_000, 70_000)


def test_a_trace_without_runs_is_refused(tmp_path):
    (tmp_path / "trace.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="no run"):
        read_trace(tmp_path / "trace.json")


@pytest.mark.parametrize(
    ("names", "ops"),
    [
        (("b_nchwc", "d_nchwc", "/fc/Gemm"), ("Conv", "Conv", "Gemm")),
        (
            ("/stem/Conv_quant_token_1", "/block/Conv_token_12", "/fc/Gemm_quant"),
            ("QLinearConv", "QLinearConv", "QGemm"),
        ),
        (("fused /stem/Conv", "fused /block/Conv", "/fc/Gemm/fused"), ("FusedConv", "FusedConv", "FusedGemm")),
        (("Conv_0", "", "Gemm_9"), ("QLinearConv", "QLinearConv", "QLinearMatMul")),
    ],
)
def test_nodes_are_led_back_to_the_fp32_model_by_name_or_order(fp32, names, ops):
    ran = [node(name, op) for name, op in zip(names, ops, strict=True)]
    assert find_origins(fp32, ran) == ["/stem/Conv", "/block/Conv", "/fc/Gemm"]


def test_names_that_say_nothing_are_matched_by_the_weights_shapes_whatever_the_order(fp32):
    ran = [node(name, op) for name, op in (("q2", "QLinearMatMul"), ("q1", "QLinearConv"), ("q0", "QLinearConv"))]
    shapes = {"q0": (8, 3, 3, 3), "q1": (8, 1, 3, 3), "q2": (128, 10)}
    assert find_origins(fp32, ran, shapes) == ["/fc/Gemm", "/block/Conv", "/stem/Conv"]
    rewritten = {**shapes, "q0": (8, 12, 2, 2)}
    assert find_origins(fp32, ran, rewritten) == ["/fc/Gemm", "/block/Conv", "/stem/Conv"]


def test_an_operator_computed_as_another_keeps_its_name(fp32):
    fp32.graph.node.append(helper.make_node("GlobalAveragePool", ["d"], ["p"], name="/pool"))
    ran = [node("/pool", "QLinearMatMul"), node("/fc/Gemm_MatMul_quant", "QLinearMatMul")]
    assert find_origins(fp32, ran) == ["/pool", "/fc/Gemm"]


def test_the_weights_of_products_are_read_from_the_graph_that_runs():
    weights = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.int8), "w")
    conv = helper.make_node("QLinearConv", ["x", "s", "z", "w", "ws", "wz", "ys", "yz"], ["y"], name="conv")
    product = helper.make_node("MatMul", ["y", "unknown"], ["t"], name="product")
    graph = helper.make_graph([conv, product], "g", [], [], [weights])
    assert weight_shapes(helper.make_model(graph)) == {"conv": (8, 3, 3, 3)}


def test_what_is_named_after_a_tensor_it_converts_has_no_origin(fp32):
    ran = [
        node("b_QuantizeLinear", "QuantizeLinear"),
        node("b", "DequantizeLinear"),
        node("Transpose_token_3", "Transpose"),
    ]
    assert find_origins(fp32, ran) == [None, None, None]


def test_unknown_names_stay_unknown_where_the_numbers_of_products_differ(fp32):
    assert find_origins(fp32, [node("one", "QLinearConv"), node("/block/Clip", "Clip")]) == [None, "/block/Clip"]


def test_multiply_adds_follow_the_sizes_that_ran_and_the_weights(fp32):
    ran = [
        NodeTrace("b_nchwc", "Conv", (("float", (2, 3, 8, 8)),), (("float", (2, 16, 6, 6)),), (1,)),
        NodeTrace("d_nchwc", "Conv", (("float", (2, 8, 6, 6)),), (("float", (2, 8, 4, 4)),), (1,)),
        NodeTrace("/Flatten", "Flatten", (("float", (2, 8, 4, 4)),), (("float", (2, 128)),), (1,)),
        NodeTrace("/fc/Gemm", "Gemm", (("float", (2, 128)),), (("float", (2, 10)),), (1,)),
    ]
    assert multiply_adds(fp32, ran, find_origins(fp32, ran)) == {
        "/stem/Conv": 2 * 36 * 8 * 3 * 9,
        "/block/Conv": 2 * 16 * 8 * 1 * 9,
        "/fc/Gemm": 2 * 10 * 128,
    }


@pytest.mark.parametrize(
    ("ran", "kind"),
    [
        (node("a", "QLinearConv", kind="uint8"), "int8"),
        (node("a", "NhwcMaxPool", kind="int8"), "int8"),
        (node("a", "Conv"), "fp32"),
        (node("a", "QuantizeLinear"), "conversion"),
        (node("a", "DequantizeLinear", kind="uint8"), "conversion"),
        (node("a", "Transpose", kind="uint8"), "conversion"),
        (node("a", "ReorderOutput"), "conversion"),
        (node("same", "QLinearConcat", kind="uint8"), "int8"),
        (node("other", "QLinearConcat", kind="uint8"), "conversion"),
    ],
)
def test_each_node_is_int8_fp32_or_conversion(ran, kind):
    assert kind_of(ran, frozenset({"other"})) == kind


def test_a_concat_requantizes_where_a_scale_or_zero_point_differs():
    values = {"s": np.float32(0.5), "t": np.float32(0.25), "z": np.uint8(0), "o": np.uint8(3)}
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]

    def concat(name: str, *parameters: str) -> onnx.NodeProto:
        return helper.make_node(
            "QLinearConcat", ["s", "z", "a", *parameters[:2], "b", *parameters[2:]], [name], name=name
        )

    nodes = [
        concat("equal", "s", "z", "s", "z"),
        concat("scale", "s", "z", "t", "z"),
        concat("zero", "s", "o", "s", "z"),
    ]
    nodes.append(concat("computed", "s", "z", "unknown", "z"))
    graph = helper.make_graph(nodes, "g", [], [], initializers)
    assert requantizing_concats(helper.make_model(graph)) == {"scale", "zero", "computed"}


def test_the_reason_for_fp32_is_the_recipe_or_what_stands_around_the_node():
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["x"], name="dq"),
        helper.make_node("DequantizeLinear", ["qw", "s"], ["w"], name="dw"),
        helper.make_node("GlobalAveragePool", ["x"], ["a"], name="pool"),
        helper.make_node("Softmax", ["a"], ["y"], name="softmax"),
        helper.make_node("Erf", ["x"], ["e"], name="erf"),
        helper.make_node("QuantizeLinear", ["e", "s"], ["eq"], name="qe"),
        helper.make_node("Conv", ["a", "w"], ["c"], name="conv"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    recipe = Recipe(engine="native", float_op_types=("Softmax",), float_nodes=("conv",))

    def reason(name: str, op_type: str, made_by: Recipe | None = None) -> str:
        return float_reason(model, name, op_type, made_by)

    assert reason("pool", "GlobalAveragePool") == "result not quantized"
    assert reason("softmax", "Softmax") == "not quantized"
    assert reason("erf", "Erf") == "no int8 kernel: runs between DQ and Q"
    assert reason("conv", "Conv") == "only weights quantized"
    assert reason("softmax", "Softmax", recipe) == reason("conv", "Conv", recipe) == "kept by the recipe"
    assert reason("elsewhere", "Conv") == "not quantized"


def test_an_operator_that_both_models_run_has_a_speed_up_and_an_excess(profiled):
    speedups = operator_speedups(profiled)
    assert [(each.origin, round(each.ratio, 2)) for each in speedups] == [("conv1", 0.67), ("conv2", 3.0), ("cat", 0.5)]
    assert typical_speedup(profiled) == pytest.approx(3.0)
    assert speedups[0].excess_ns == pytest.approx(300_000 - 200_000 / 3)


def test_conversions_and_fp32_operators_cost_what_they_take(profiled):
    assert [(cost.label, cost.time_ns) for cost in costs(profiled.candidate, "conversion")] == [
        ("Concat", 50_000),
        ("QuantizeLinear", 20_000),
    ]
    assert [(cost.label, cost.reason) for cost in costs(profiled.candidate, "fp32")] == [("Softmax", "not quantized")]


def test_what_costs_most_of_the_difference_comes_first_and_names_the_rewrite_that_helps(profiled):
    assert [(loss.what, loss.rewrite) for loss in bottlenecks(profiled)] == [
        ("conv1 (Conv)", "space-to-depth"),
        ("cat (Concat)", "common-scales"),
        ("QuantizeLinear", None),
        ("Softmax", None),
    ]


def test_every_loss_tells_both_times_what_was_expected_and_what_to_do(profiled):
    conv1, concat, quantize, _ = bottlenecks(profiled)
    assert (conv1.fp32_ns, conv1.int8_ns, conv1.expected_ns) == (200_000, 300_000, pytest.approx(200_000 / 3))
    assert (concat.fp32_ns, concat.int8_ns, concat.expected_ns) == (25_000, 50_000, 25_000)
    assert (quantize.fp32_ns, quantize.int8_ns, quantize.expected_ns) == (0, 20_000, 0)
    assert all(loss.advice for loss in bottlenecks(profiled))


def _with(profiled: Profile, before: tuple[OperatorTime, ...], after: tuple[OperatorTime, ...]) -> Profile:
    sides = {"baseline": before, "candidate": after}
    update = {}
    for side, nodes in sides.items():
        model = getattr(profiled, side)
        update[side] = model.model_copy(update={"operators": (*model.operators, *nodes)})
    return profiled.model_copy(update=update)


def test_a_pool_that_int8_makes_many_times_slower_comes_first(profiled):
    pool = {"origin": "pool1", "origin_op": "MaxPool"}
    before = (operator("pool1", "MaxPool", "fp32", 300, **pool),)
    after = (operator("pool1", "MaxPool", "int8", 8600, **pool),)
    found = bottlenecks(_with(profiled, before, after))[0]
    assert (found.what, found.fp32_ns, found.int8_ns, found.excess_ns) == ("pool1 (MaxPool)", 300e3, 8600e3, 8300e3)
    assert found.rewrite is None, "Softmax stands before it"
    stem = conv("stem", "fp32", 100, 1000)
    quantize = operator("q", "QuantizeLinear", "conversion", 20)
    found = bottlenecks(_with(profiled, (stem, *before), (stem, quantize, *after)))[0]
    assert (found.what, found.rewrite) == ("pool1 (MaxPool)", "pool-before-activation")


def test_the_pool_of_a_real_float_stem_comes_first():
    """Recorded: SqueezeNet with conv1 in fp32 by onnxruntime's quantizer, on kernels without VNNI."""
    text = (Path(__file__).parent / "profiles" / "squeezenet_float_stem_avx2.json").read_text(encoding="utf-8")
    recorded = Profile.model_validate_json(text)
    first, second, *_ = bottlenecks(recorded)
    assert first.what == "pool1 (MaxPool)"
    assert first.excess_ns > 0.4 * recorded.candidate.run_ns
    assert first.excess_ns > second.excess_ns
    lines = profile_text(recorded).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    table = next(place for place, line in enumerate(lines) if line.startswith("what costs most of the difference"))
    assert lines[table + 1].split()[0] == "pool1"
    assert lines[table + 2].strip() == ("generic code in int8; to do: rewrite pool-before-activation")


@pytest.fixture
def measured(profiled, recorded_machines) -> Profile:
    """Return the profile with the peaks of a CPU with VNNI."""
    machine = recorded_machines["vnni"]
    kinds = {"conv1": "first", "conv2": "pointwise"}

    def with_kinds(model: ModelProfile) -> ModelProfile:
        nodes = (node.model_copy(update={"layer": kinds.get(node.origin or "")}) for node in model.operators)
        return model.model_copy(update={"operators": tuple(nodes)})

    update = {"baseline": with_kinds(profiled.baseline), "candidate": with_kinds(profiled.candidate)}
    return profiled.model_copy(update={**update, "peaks": machine.single, "memory_rate": machine.memory_rate})


def test_what_is_expected_follows_this_cpus_peaks_of_the_layers_kind(measured, recorded_machines):
    gain = recorded_machines["vnni"].single.of("pointwise").gain
    found = {one.origin: one for one in operator_speedups(measured)}
    assert found["conv2"].expected_ns == pytest.approx(600_000 / gain)
    assert found["conv1"].expected_ns == 200_000, "int8 is slower in first layers: fp32 would do"
    assert expected_speedup(measured) == pytest.approx(800_000 / (200_000 + 600_000 / gain))
    assert "by this CPU's peaks" in profile_text(measured)


def test_a_product_that_gains_over_ten_per_cent_more_is_listed_with_the_reason(measured):
    heavy = {"origin": "fc", "origin_op": "Gemm", "layer": "gemm", "fp32_bytes": 5_100_000, "multiply_adds": 1_280_000}
    before = (operator("fc", "Gemm", "fp32", 200, **heavy),)
    after = (operator("fc", "QGemm", "int8", 20, **heavy),)
    text = " ".join(profile_text(_with(measured, before, after)).split())
    assert "gain over 10 % more than expected fc, 10.00x of 3.07x: memory: 5.1 MB of fp32 values" in text
    assert "gain over 10 %" not in profile_text(measured)


def test_a_first_conv_that_is_rewritten_already_gets_no_such_advice(profiled):
    for name, op_type in (("conv1_SpaceToDepth_1_1", "Transpose"), ("cells", "SpaceToDepth")):
        found = bottlenecks(_with(profiled, (), (operator(name, op_type, "conversion", 1),)))
        assert [loss.rewrite for loss in found if loss.what == "conv1 (Conv)"] == [None]


def test_a_product_that_is_slower_in_int8_is_to_be_left_in_fp32(profiled):
    slow = _with(profiled, (conv("slow", "fp32", 100, 1000),), (conv("slow", "int8", 300, 1000),))
    found = next(loss for loss in bottlenecks(slow) if loss.what == "slow (Conv)")
    assert (found.why, found.advice) == ("int8, slower than fp32", "leave it in fp32 (--placement measured)")


def test_a_product_that_stayed_in_fp32_tells_why(profiled):
    kept = conv("kept", "fp32", 100, 1000).model_copy(update={"reason": "kept by the recipe"})
    found = next(
        loss
        for loss in bottlenecks(_with(profiled, (conv("kept", "fp32", 100, 1000),), (kept,)))
        if loss.what == "kept (Conv)"
    )
    assert (found.why, found.rewrite) == ("in fp32, kept by the recipe", None)


def test_depthwise_convolutions_are_one_loss_together(profiled):
    names = ("a", "b", "c")
    before = tuple(conv(name, "fp32", 100, 1000, "depthwise") for name in names)
    after = tuple(conv(name, "int8", 100, 1000, "depthwise") for name in names)
    found = next(loss for loss in bottlenecks(_with(profiled, before, after)) if "depthwise" in loss.what)
    assert (found.what, found.fp32_ns, found.int8_ns) == ("3 depthwise Conv", 300_000, 300_000)
    assert found.excess_ns == pytest.approx(200_000)


def test_operators_that_both_models_add_count_by_what_int8_adds(profiled):
    reorder = operator("r", "ReorderOutput", "conversion", 30)
    slower = reorder.model_copy(update={"time_ns": 80_000.0})
    found = next(loss for loss in bottlenecks(_with(profiled, (reorder,), (slower,))) if loss.what == "ReorderOutput")
    assert found.excess_ns == 50_000


def test_the_roofline_counts_the_multiply_adds_of_each_kind(profiled):
    int8 = arithmetic_rates(profiled, profiled.candidate)["int8"]
    assert int8.rate == pytest.approx(70e6 / 500e-6)
    assert int8.share == pytest.approx(0.35)
    assert set(arithmetic_rates(profiled, profiled.baseline)) == {"fp32"}


def test_an_operator_in_two_nodes_is_one_gain_and_counts_once(profiled):
    twice = (*profiled.candidate.operators, conv("conv2", "int8", 100, 60_000_000))
    candidate = profiled.candidate.model_copy(update={"operators": twice})
    changed = profiled.model_copy(update={"candidate": candidate})
    assert next(gain for gain in operator_speedups(changed) if gain.origin == "conv2").ratio == pytest.approx(2.0)
    assert arithmetic_rates(changed, candidate)["int8"].multiply_adds == 70_000_000


def test_one_screen_answers_why_it_is_not_faster(profiled):
    text = profile_text(profiled)
    lines = text.splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "Why is int8 not faster?"
    assert "conv1 (Conv) 200 us 300 us 67 us 233 us" in " ".join(text.split())
    assert "3 input channels; to do: rewrite space-to-depth, or leave it in fp32" in text
    assert "requantizes, unequal scales; to do: rewrite common-scales" in text
    assert "Its products gain 1.60x; by its typical product 3.00x is expected of them." in text
    assert "35% of 400 G/s" in text
    assert "Softmax 10 us, not quantized" in text


def test_a_model_without_losses_says_so(profiled):
    only = ModelProfile(name="int8", operators=(conv("conv2", "int8", 200, 60_000_000),), outside_ns=0)
    assert "No operator takes 1 % of the time more than expected." in profile_text(
        profiled.model_copy(update={"candidate": only})
    )


def test_long_names_and_many_operators_still_fit_one_screen(profiled):
    name = "/a/very/long/path/of/modules/blocks.{}/depthwise_conv/Conv"
    before = tuple(conv(name.format(n), "fp32", 100, 1000, "depthwise") for n in range(40))
    after = tuple(conv(name.format(n), "int8", 20 + 5 * n, 1000, "depthwise") for n in range(40))
    kept = tuple(operator(str(n), f"Op{n}", "fp32", 3, origin_op=f"Op{n}", reason="not quantized") for n in range(30))
    crowded = profiled.model_copy(
        update={
            "baseline": ModelProfile(name="b" * 60, operators=before, outside_ns=0),
            "candidate": ModelProfile(name="c" * 60, operators=after + kept, outside_ns=0),
        }
    )
    lines = profile_text(crowded).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


def test_a_profile_survives_json(profiled):
    assert Profile.model_validate_json(profiled.model_dump_json()) == profiled


def test_paths_of_profiles_do_not_stay_behind(tmp_path, monkeypatch, tiny, tiny_images):
    from quantize.measurement.operators.profile import profile
    from quantize.measurement.timing.plan import Plan

    monkeypatch.chdir(tmp_path)
    plan = Plan(models={"fp32": tiny, "same": tiny}, baseline="fp32")
    found = profile(plan, {"fp32": tiny_images, "same": tiny_images}, "same", runs=10)
    assert list(Path.cwd().iterdir()) == []
    (product,) = [operator for operator in found.candidate.operators if operator.origin == "conv"]
    assert product.multiply_adds == 10 * 3 * 8 * 8
    assert found.peak.int8 > 0
    with pytest.raises(ValueError, match="baseline"):
        profile(plan.model_copy(update={"baseline": None}), {}, "same")
