"""The profile of a real int8 SqueezeNet says where its time goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.profile import profile
from quantize.measurement.operators.profile_text import profile_text
from quantize.measurement.operators.speedups import (
    arithmetic_rates,
    costs,
    expected_speedup,
    operator_speedups,
)
from quantize.measurement.timing.plan import Plan

pytestmark = pytest.mark.real

PROFILES = Path(__file__).parent / "profiles"
"""Of a Zen 5, one thread, onnxruntime 1.32: with VNNI, and held to its AVX2 kernels. Which op gains is read of them:
times of the machine at hand tell nothing that a test could expect."""


@pytest.fixture(scope="module")
def profiled(squeezenet: Path, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """Return the profile of fp32 SqueezeNet and of what onnxruntime's quantizer makes of it."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    images = [np.random.default_rng(n).normal(0, 60, (1, 3, 224, 224)).astype(np.float32) for n in range(8)]
    (name,) = [value.name for value in onnx.load(squeezenet).graph.input]

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.images = iter(images[:3])

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {name: image}

    int8 = tmp_path_factory.mktemp("profile") / "int8.onnx"
    quantization.quantize_static(
        squeezenet,
        int8,
        Reader(),
        quant_format=quantization.QuantFormat.QOperator,
        per_channel=True,
        op_types_to_quantize=["Conv", "MaxPool", "Concat"],
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    plan = Plan(models={"fp32": squeezenet, "int8": int8}, baseline="fp32")
    return profile(plan, {"fp32": images, "int8": images}, "int8", runs=40)


def test_all_26_convolutions_are_found_in_both_models(profiled):
    for model, kind in ((profiled.baseline, "fp32"), (profiled.candidate, "int8")):
        convs = [operator for operator in model.operators if operator.origin_op == "Conv"]
        assert len(convs) == len({operator.origin for operator in convs}) == 26
        assert {operator.kind for operator in convs} == {kind}


def test_the_multiply_adds_are_those_of_squeezenet(profiled):
    assert arithmetic_rates(profiled, profiled.candidate)["int8"].multiply_adds == pytest.approx(352e6, rel=0.02)


def test_every_concat_is_conversion_because_it_requantizes(profiled):
    concat = next(cost for cost in costs(profiled.candidate, "conversion") if cost.op_type == "Concat")
    assert (concat.nodes, concat.reason) == (8, "unequal scales")


def test_the_float_head_is_listed_with_its_reason(profiled):
    assert {cost.op_type for cost in costs(profiled.candidate, "fp32")} >= {"GlobalAveragePool", "Softmax"}
    assert all(cost.reason for cost in costs(profiled.candidate, "fp32"))


def test_each_product_has_its_kind_and_what_is_expected_of_it(profiled):
    kinds = {each.name: each.fp32.layer for each in operator_speedups(profiled) if each.op_type == "Conv"}
    assert kinds["conv1"] == "first"
    assert kinds["fire2/squeeze1x1"] == kinds["conv10"] == "pointwise"
    assert kinds["fire9/expand3x3"] == "spatial"
    assert set(kinds.values()) == {"first", "pointwise", "spatial"}
    assert all(each.fp32.fp32_bytes for each in operator_speedups(profiled) if each.op_type == "Conv")
    gain = expected_speedup(profiled)
    assert gain is not None
    assert gain >= 1.0


def test_the_screen_of_a_real_model_has_both_times_and_what_to_do(profiled):
    lines = profile_text(profiled).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "is expected" in "\n".join(lines)
    assert any("to do:" in line for line in lines)


@pytest.mark.parametrize(("cpu_class", "slower"), [("vnni", ["conv1"]), ("avx2", ["conv1"])])
def test_conv1_is_the_operator_that_gains_least(cpu_class, slower):
    recorded = Profile.model_validate_json((PROFILES / f"squeezenet_{cpu_class}.json").read_text())
    least = 0.01 * recorded.baseline.run_ns
    products = [each for each in operator_speedups(recorded) if each.op_type == "Conv" and each.fp32_ns >= least]
    products.sort(key=lambda each: each.ratio)
    assert [each.name for each in products if each.ratio < 1] == slower
    assert products[0].name == "conv1"
    assert "to do: apply rewrite space-to-depth, or leave it in fp32 (3 input channels)" in profile_text(recorded)
