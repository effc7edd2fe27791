"""A model's large weights in a file that all sessions of it share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.models.session import open_session
from quantize.models.weights_apart import weights_apart
from tests.models.one_product import one_product

_IMAGE = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)


def _conv(channels: int = 64) -> onnx.ModelProto:
    draw = np.random.default_rng(0)
    weights = draw.standard_normal((channels, 3, 5, 5)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "weights", "bias"], ["features"], pads=[2] * 4),
            helper.make_node("Reshape", ["features", "shape"], ["scores"]),
        ],
        "one convolution",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", channels * 64])],
        [
            numpy_helper.from_array(weights, "weights"),
            helper.make_tensor("bias", TensorProto.FLOAT, [channels], draw.standard_normal(channels)),
            numpy_helper.from_array(np.array([0, -1], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.metadata_props.add(key="kept", value="as it is")
    return model


def _scores(session) -> np.ndarray:
    return session.run(["scores"], {"image": _IMAGE})[0]


def test_a_session_of_it_gives_the_same_bits():
    model = _conv()
    with weights_apart(model) as apart:
        session = apart.open(apart.model)
    assert np.array_equal(_scores(session), _scores(open_session(model.SerializeToString())))


def test_sessions_run_on_when_the_file_is_gone():
    with weights_apart(_conv()) as apart:
        session = apart.open(apart.model)
    assert not apart.folder.exists()
    assert np.isfinite(_scores(session)).all()


def test_only_large_matrices_of_floats_lie_apart_and_all_else_is_kept():
    model = _conv(2048)  # biases and scales of so many channels are looked at in the model
    with weights_apart(model) as apart:
        light = apart.model
        external = {tensor.name for tensor in light.graph.initializer if tensor.external_data}
        assert external == {"weights"}
        assert light.ByteSize() < model.ByteSize() / 30
        whole = onnx.ModelProto()
        whole.CopyFrom(light)
        onnx.load_external_data_for_model(whole, str(apart.folder))
    whole.graph.initializer[0].ClearField("external_data")
    whole.graph.initializer[0].ClearField("data_location")
    assert whole == model


def test_other_weights_can_lie_in_the_same_file():
    model, other = _conv(), _conv()
    values = np.full((64, 3, 5, 5), 0.5, np.float32)
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "weights"))
    with weights_apart(model) as apart:
        (light,) = apart.put(other.graph.initializer[:1])
        assert light.ByteSize() < 200
        apart.model.graph.initializer[0].CopyFrom(light)
        session = apart.open(apart.model)
    assert np.array_equal(_scores(session), _scores(open_session(other.SerializeToString())))


def test_the_given_model_is_not_changed():
    model = _conv()
    before = model.SerializeToString()
    with weights_apart(model):
        pass
    assert model.SerializeToString() == before


_ANONYMOUS = """
import sys
from pathlib import Path
import onnx
from quantize.processes.memory import give_back_unused, keep_little_unused

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)

keep_little_unused()
"""
_CALIBRATED = """
import threading, time
import numpy as np
from quantize.calibration.collect import collect
from quantize.data.batches import Batch

def watched():
    while True:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.001)

images = [Batch(("a",), np.zeros((1, 3, 32, 32), np.float32), None)]
collect(onnx.load(sys.argv[1]), images)  # what is loaded and kept for the first model is no copy of its weights
give_back_unused()
before, peak = anonymous(), [0]
threading.Thread(target=watched, daemon=True).start()
collect(onnx.load(sys.argv[2]), images)
print(before, peak[0])
"""
_LET_GO = """
from quantize.models.weights_apart import weights_apart

with weights_apart(onnx.load(sys.argv[1])):
    pass
give_back_unused()
before = anonymous()
with weights_apart(onnx.load(sys.argv[2])):
    give_back_unused()
    print(before, anonymous())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory is a process's own")
@pytest.mark.parametrize(
    ("script", "least", "most"),
    [
        pytest.param(_CALIBRATED, 1.0, 3.5, id="three times while it is calibrated"),
        pytest.param(_LET_GO, -0.1, 0.2, id="not at all where nobody else holds the model"),
    ],
)
def test_a_large_models_weights_lie_in_memory(tmp_path: Path, script: str, least: float, most: float) -> None:
    # In a process of its own, because memory that other tests free here would count as well.
    small, large = one_product(tmp_path / "small.onnx", 16), one_product(tmp_path / "large.onnx", 8192)
    command = [sys.executable, "-c", _ANONYMOUS + script, str(small), str(large)]
    before, peak = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    if not before:
        pytest.skip("this kernel does not tell")
    assert least < (peak - before) / large.stat().st_size < most
