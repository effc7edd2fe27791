from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.gate.result import GateResult, Line, Verdict
from quantize.graph.identity import graph_sha256
from quantize.report.integer_share import arithmetic_of

Array = npt.NDArray[Any]
REPORT = Path(__file__).resolve().parent.parent / "report" / "fixtures" / "report-v1.json"


def _model(nodes: list[onnx.NodeProto], constants: dict[str, Array]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def _weights(seed: int) -> Array:
    return np.random.default_rng(seed).integers(-100, 100, (4, 3, 3, 3)).astype(np.int8)


def _scales() -> dict[str, Array]:
    values = {"s": (0.1, np.float32), "z": (128, np.uint8), "ws": (0.01, np.float32), "wz": (0, np.int8)}
    return {name: np.array(value, dtype) for name, (value, dtype) in values.items()}


_HEAD = [
    helper.make_node("DequantizeLinear", ["y", "s", "z"], ["f"]),
    helper.make_node("GlobalAveragePool", ["f"], ["g"]),
    helper.make_node("Flatten", ["g"], ["scores"]),
]


def qlinear(seed: int = 0) -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "ws", "wz", "s", "z"], ["y"]),
        *_HEAD,
    ]
    return _model(nodes, {**_scales(), "w": _weights(seed)})


def qdq(seed: int = 0) -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"]),
        helper.make_node("Conv", ["d", "wf"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["y"]),
        *_HEAD,
    ]
    return _model(nodes, {**_scales(), "w": _weights(seed)})


def fp32() -> onnx.ModelProto:
    nodes = [helper.make_node("Conv", ["x", "w"], ["f"]), *_HEAD[1:]]
    return _model(nodes, {"w": _weights(0).astype(np.float32)})


@dataclass
class Run:
    """A run's folder whose report and files tests change."""

    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.folder / "report.json").read_text("utf-8"))
        return values

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        values = self.report
        edit(values)
        (self.folder / "report.json").write_text(json.dumps(values), "utf-8")

    def put(self, role: str, model: onnx.ModelProto) -> None:
        """Write a model and make the report speak of it, as a run would."""
        (self.folder / f"{role}.onnx").write_bytes(model.SerializeToString())

        def speak(values: dict[str, Any]) -> None:
            section = next(model for model in values["models"] if model["role"] == role)
            section["file"] = f"{role}.onnx"
            section["graph_sha256"] = section["selection"]["evaluation"]["graph_sha256"] = graph_sha256(model)
            section["integer_share"] = arithmetic_of(model).share

        self.change(speak)


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Run]:
    def made(name: str = "run", seed: int = 0) -> Run:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "report.json").write_bytes(REPORT.read_bytes())
        run = Run(folder)
        run.put("int8", qlinear(seed))
        run.put("qdq", qdq(seed))
        return run

    return made


@pytest.fixture
def models() -> dict[str, Callable[..., onnx.ModelProto]]:
    return {"qlinear": qlinear, "qdq": qdq, "fp32": fp32}


@pytest.fixture
def baseline(new_run: Callable[..., Run], tmp_path: Path) -> Path:
    """A baseline of the run ``accepted``, whose figures are those of ``new_run``."""
    from quantize.commands.check import accept_run

    accept_run(new_run("accepted").folder, tmp_path / "baseline.json")
    return tmp_path / "baseline.json"


def result_of(*verdicts: Verdict, on_inconclusive: Any = None) -> GateResult:
    """Return a check that gave these verdicts, a line each."""
    lines = tuple(
        Line(
            name=f"int8.figure{number}.fp32",
            title="KL",
            baseline=None,
            found="1",
            allowed="at most 1",
            verdict=verdict,
        )
        for number, verdict in enumerate(verdicts)
    )
    return GateResult(run="run", lines=lines, differences=(), notes=(), on_inconclusive=on_inconclusive)
