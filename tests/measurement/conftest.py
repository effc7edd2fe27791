"""A clock that tests control, simulated models, and small real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.measurement.timing.blocks import Block, Contestant, paired_log_ratios
from quantize.measurement.timing.interleave import OpenSession, Run, interleave
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import Speedup, speedup

Duration = Callable[[str, int, int], float]
"""Contestant, nanoseconds since the start and number of the run in all, to the run's nanoseconds."""


class Simulation:
    """Contestants whose durations a function gives, on a clock that only they advance."""

    def __init__(self, duration: Duration, *, interrupts: Callable[[str, int], bool] | None = None) -> None:
        self.now = 7_000_000_000
        self.runs = 0
        self.switches = 0
        self.opened: list[str] = []
        self._duration = duration
        self._interrupts = interrupts
        self._begin = self.now

    def clock(self) -> int:
        return self.now

    def session(self, name: str) -> OpenSession:
        def open_session() -> Run:
            self.opened.append(name)
            return lambda number: self._run(name)

        return open_session

    def _run(self, name: str) -> None:
        if self._interrupts is not None and self._interrupts(name, self.runs):
            self.switches += 1
        self.now += int(self._duration(name, self.now - self._begin, self.runs))
        self.runs += 1

    def blocks(self, names: tuple[str, ...], plan: Plan, *, rounds: int) -> tuple[Block, ...]:
        wanted = 2 * len(names) * rounds
        return interleave(
            {name: self.session(name) for name in names},
            plan,
            enough=lambda blocks: len(blocks) >= wanted,
            clock=self.clock,
            switches=lambda: self.switches,
        )[0]

    def speedup(self, plan: Plan, *, rounds: int) -> Speedup:
        blocks = self.blocks(("fp32", "int8"), plan, rounds=rounds)
        measured = speedup(paired_log_ratios(blocks, "fp32", "int8"), baseline="fp32", candidate="int8")
        assert measured is not None
        return measured


@pytest.fixture
def simulate() -> type[Simulation]:
    return Simulation


@pytest.fixture
def plan(tiny: Path) -> Plan:
    return Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", max_seconds=1e9, block_length=10)


@pytest.fixture(scope="session")
def recorded() -> Measurement:
    """Return a real measurement of SqueezeNet in fp32 and int8 on a shared two-core machine."""
    text = (Path(__file__).parent / "recorded.json").read_text(encoding="utf-8")
    return Measurement.model_validate_json(text)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of one Conv over 3x8x8 images and any batch."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    weights = np.random.default_rng(0).normal(size=(10, 3, 8, 8)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["scores"], name="conv", kernel_shape=[8, 8])],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10, 1, 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def tiny_images() -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.normal(size=(1, 3, 8, 8)).astype(np.float32) for _ in range(64)]


@pytest.fixture
def changed(recorded: Measurement) -> Callable[..., Measurement]:
    """Return a function that gives the recorded measurement with some fields of its parts changed."""

    def change(**parts: Mapping[str, object]) -> Measurement:
        update = {part: getattr(recorded, part).model_copy(update=dict(values)) for part, values in parts.items()}
        return recorded.model_copy(update=update)

    return change


@pytest.fixture
def contestant() -> Callable[[str, str], Contestant]:
    return lambda name, role: Contestant.model_validate({"name": name, "role": role, "sha256": "0", "bytes": 1})
