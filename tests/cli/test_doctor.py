from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.cli.main import main
from quantize.errors import ExitCode


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    weights = np.full((3, 3, 1, 1), np.nan, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w"], ["maps"], name="conv"),
            helper.make_node("GlobalAveragePool", ["maps"], ["scores"], name="pool"),
        ],
        "damaged",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3, 1, 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "damaged.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7).SerializeToString()
    )
    return path


def test_a_finding_says_what_how_sure_and_what_to_do(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(damaged), "--data_path", str(damaged.parent)]) is ExitCode.NOT_MET
    out = capsys.readouterr().out
    for said in ("WRONG  weights", "NaN", "certainty", "certain", "to do ", "1 to fix before tuning."):
        assert said in out
    assert max(map(len, out.splitlines())) <= 80
    assert main(["doctor", "--json", str(damaged), "--data_path", str(damaged.parent)]) is ExitCode.NOT_MET
    assert json.loads(capsys.readouterr().out)["findings"][0]["check"] == "weights"


def test_what_is_missing_is_named(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(damaged)]) is ExitCode.USER
    assert "--data_path" in capsys.readouterr().err
    assert main(["doctor", str(damaged), "--target=armv7", "--data_path=x"]) is ExitCode.USER
    assert "vnni" in capsys.readouterr().err
