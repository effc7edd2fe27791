"""A profile made by hand, and the same with the peaks of a CPU."""

from __future__ import annotations

import pytest

from quantize.measurement.operators.operator_times import BestRates, ModelProfile, Profile
from tests.measurement.operators.builders import conv, operator


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
        peak=BestRates(int8=400e9, fp32=100e9, threads=1),
        runs=60,
        threads=1,
    )


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
