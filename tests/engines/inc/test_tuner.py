from __future__ import annotations

import importlib.util
import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.criterion import Criterion
from quantize.data.batches import Batch
from quantize.engines.inc.engine import in_order
from quantize.engines.inc.job import require_neural_compressor
from quantize.engines.inc.settings import IncSettings
from quantize.engines.inc.tuner import IncBuilder, IncTuner
from quantize.engines.trial import Trial, trial_of
from quantize.errors import EngineError
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact, save_model

pytestmark = [
    pytest.mark.inc,
    pytest.mark.skipif(importlib.util.find_spec("neural_compressor") is None, reason="the extra inc is not installed"),
]

CRITERION = Criterion("top1", baseline=0.8, relative=0.01)
ANYTHING = Criterion("none")


def conv(name: str, source: str, target: str, channels: tuple[int, int], size: int, rng: np.random.Generator):
    weights = rng.normal(0, 0.3, (channels[1], channels[0], size, size)).astype(np.float32)
    bias = rng.normal(0, 0.1, channels[1]).astype(np.float32)
    node = helper.make_node("Conv", [source, f"{name}_w", f"{name}_b"], [target], name, pads=[size // 2] * 4)
    return node, [numpy_helper.from_array(weights, f"{name}_w"), numpy_helper.from_array(bias, f"{name}_b")]


def tiny(opset: int) -> onnx.ModelProto:
    """Return three convolutions, a pool and a Softmax."""
    rng = np.random.default_rng(7)
    nodes, weights = [], []
    for name, source, target, channels, size in (
        ("conv1", "image", "a", (3, 8), 3),
        ("conv2", "a_relu", "b", (8, 8), 3),
        ("conv3", "b_relu", "c", (8, 10), 1),
    ):
        node, constants = conv(name, source, target, channels, size, rng)
        nodes.append(node)
        weights += constants
        if name != "conv3":
            nodes.append(helper.make_node("Relu", [target], [f"{target}_relu"], f"{name}_relu"))
    nodes.append(helper.make_node("GlobalAveragePool", ["c"], ["pooled"], "pool"))
    nodes.append(helper.make_node("Softmax", ["pooled"], ["scores"], "softmax", axis=1))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10, 1, 1])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def batches(shape: tuple[int, ...] = (3, 16, 16)) -> list[Batch]:
    images = np.random.default_rng(3).normal(size=(8, *shape)).astype(np.float32)
    return [Batch(tuple("abc"), images[:3], None), Batch(tuple("defgh"), images[3:], None)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    return save_model(tiny(12), tmp_path_factory.mktemp("tiny") / "tiny-12.onnx")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run in an empty working directory, and check that the test leaves neither files nor processes."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield here
    assert list(here.iterdir()) == []
    assert children() == []


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "inc.worker" in " ".join(child.cmdline())]


def failing(path: Path, model: ModelArtifact) -> tuple[IncTuner, list[Trial]]:
    """Search by ``basic`` for three trials, none of which meets the criterion."""
    tuner = IncTuner(IncSettings(strategy="basic", max_trials=3), path)
    values = iter([0.5, 0.6, 0.4])
    return tuner, list(tuner.tune(model, CRITERION, lambda _candidate: next(values), batches()))


@pytest.fixture(scope="module")
def failed(model: ModelArtifact, tmp_path_factory: pytest.TempPathFactory) -> tuple[IncTuner, list[Trial]]:
    return failing(tmp_path_factory.mktemp("failed"), model)


def test_the_first_candidate_is_taken_if_it_meets_the_goal(
    model: ModelArtifact, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "quantize.engines.inc.tuner")
    seen: list[Path] = []

    def evaluate(candidate: ModelArtifact) -> float:
        seen.append(candidate.path)
        return 0.8

    tuner = IncTuner(IncSettings(strategy="auto"), tmp_path / "work")
    trials = list(tuner.tune(model, CRITERION, evaluate, batches()))

    artifact = trials[0].artifact
    assert artifact is not None
    assert seen == [artifact.path]
    assert tuner.stopped == "met"
    assert in_order(trials, CRITERION, ()) == trials
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["candidates", "neural_compressor.log"]
    assert capfd.readouterr() == ("", "")
    said = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert [record.getMessage().split(":")[0] for record in said] == ["trial 1"]
    assert "tuning_criterion" not in caplog.text.lower()

    proto = artifact.proto()
    onnx.checker.check_model(proto, full_check=True)
    ops = Counter(node.op_type for node in proto.graph.node)
    assert (ops["QLinearConv"], ops["GlobalAveragePool"], ops["Softmax"]) == (3, 1, 1)
    assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 12)]
    assert trials[0].recipe.float_op_types == ("GlobalAveragePool",)


def test_the_best_candidate_that_failed_is_kept(failed: tuple[IncTuner, list[Trial]]):
    tuner, trials = failed
    assert [trial.metric for trial in trials] == [0.5, 0.6, 0.4]
    assert all(trial.artifact and trial.artifact.path.is_file() for trial in trials)
    assert tuner.stopped == "max_trials"
    assert in_order(trials, CRITERION, ()) == []
    assert trial_of(trials, None) is trials[1]


def test_the_same_search_gives_the_same_bytes(
    model: ModelArtifact, failed: tuple[IncTuner, list[Trial]], tmp_path: Path
):
    _, first = failed
    _, second = failing(tmp_path / "work", model)
    assert [trial.recipe for trial in second] == [trial.recipe for trial in first]
    assert len({trial.artifact.sha256 for trial in first if trial.artifact}) > 1
    for trial, again in zip(first, second, strict=True):
        assert trial.artifact is not None
        assert again.artifact is not None
        assert trial.artifact.path.read_bytes() == again.artifact.path.read_bytes()


@pytest.mark.parametrize("index", [0, 1])
def test_a_recipe_builds_its_candidate_again(
    model: ModelArtifact, failed: tuple[IncTuner, list[Trial]], tmp_path: Path, index: int
):
    trial = failed[1][index]
    assert trial.artifact is not None
    built = IncBuilder(tmp_path / "work").build(model, trial.recipe, batches())
    assert built.graph_sha256 == trial.artifact.graph_sha256


def test_a_recipe_is_not_built_from_another_calibration_set(
    model: ModelArtifact, failed: tuple[IncTuner, list[Trial]], tmp_path: Path
):
    with pytest.raises(EngineError, match="8 images"):
        IncBuilder(tmp_path / "work").build(model, failed[1][0].recipe, batches()[:1])


def test_qdq_is_per_channel_and_a_named_op_of_the_head_is_quantized(tmp_path: Path):
    model = save_model(tiny(13), tmp_path / "tiny-13.onnx")
    settings = IncSettings(framework="onnxrt_qdq", op_wise={"pool": {"activation": {"dtype": ["uint8"]}}})
    trials = list(IncTuner(settings, tmp_path / "work").tune(model, ANYTHING, never, batches()))
    assert trials[0].artifact is not None
    graph = trials[0].artifact.proto().graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    readers = {value: node for node in graph.node for value in node.input}
    per_channel = [
        node
        for node in graph.node
        if node.op_type == "DequantizeLinear" and shapes[node.input[1]] and readers[node.output[0]].op_type == "Conv"
    ]
    assert len({readers[node.output[0]].name for node in per_channel}) == 3
    pool = next(node for node in graph.node if node.op_type == "GlobalAveragePool")
    assert readers[pool.output[0]].op_type == "QuantizeLinear"
    assert trials[0].recipe.float_op_types == ()


@pytest.mark.parametrize("product", ["Gemm", "MatMul"])
def test_the_bias_of_the_scores_is_added_in_float(tmp_path: Path, product: str):
    rng = np.random.default_rng(1)
    proto = tiny(12)
    graph = proto.graph
    del graph.node[-1]
    graph.node.append(helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"))
    if product == "Gemm":
        graph.node.append(helper.make_node("Gemm", ["flat", "fc_w", "fc_b"], ["logits"], "fc"))
    else:
        graph.node.append(helper.make_node("MatMul", ["flat", "fc_w"], ["product"], "fc"))
        graph.node.append(helper.make_node("Add", ["product", "fc_b"], ["logits"], "bias"))
    graph.initializer.append(numpy_helper.from_array(rng.normal(size=(10, 10)).astype(np.float32), "fc_w"))
    graph.initializer.append(numpy_helper.from_array(rng.normal(size=10).astype(np.float32), "fc_b"))
    graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10]))
    model = save_model(proto, tmp_path / "fc.onnx")
    trials = list(IncTuner(IncSettings(), tmp_path / "work").tune(model, ANYTHING, never, batches()))
    assert trials[0].artifact is not None
    nodes = trials[0].artifact.proto().graph.node
    assert Counter(node.op_type for node in nodes)["QLinearMatMul"] == 1
    assert nodes[-1].op_type == "Add"


def test_reduced_range_takes_a_bit_off_the_weights_and_none_off_activations(model: ModelArtifact, tmp_path: Path):
    def built(*, reduce_range: bool) -> onnx.ModelProto:
        tuner = IncTuner(IncSettings(reduce_range=reduce_range), tmp_path / f"work-{reduce_range}")
        artifact = next(iter(tuner.tune(model, ANYTHING, never, batches()))).artifact
        assert artifact is not None
        return artifact.proto()

    def image_scale(quantized: onnx.ModelProto) -> float:
        constants = {tensor.name: tensor for tensor in quantized.graph.initializer}
        first = next(node for node in quantized.graph.node if node.op_type == "QuantizeLinear")
        return float(numpy_helper.to_array(constants[first.input[1]]))

    whole, reduced = built(reduce_range=False), built(reduce_range=True)
    assert len(saturating_layers(whole)) == 3
    assert saturating_layers(reduced) == ()
    assert image_scale(reduced) == image_scale(whole)


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_reduced_range_keeps_all_bits_of_weights_whose_sums_cannot_saturate(granularity: str, tmp_path: Path):
    mixed = tiny(12)
    weights = {tensor.name: tensor for tensor in mixed.graph.initializer}
    conv2 = next(node for node in mixed.graph.node if node.name == "conv2")
    conv2.attribute.append(helper.make_attribute("group", 8))
    depthwise = np.random.default_rng(5).normal(0, 0.3, (8, 1, 3, 3)).astype(np.float32)
    weights["conv2_w"].CopyFrom(numpy_helper.from_array(depthwise, "conv2_w"))
    settings = IncSettings(reduce_range=True, model_wise={"weight": {"granularity": [granularity]}})
    tuner = IncTuner(settings, tmp_path / "work")
    source = save_model(mixed, tmp_path / "mixed-12.onnx")
    artifact = next(iter(tuner.tune(source, ANYTHING, never, batches()))).artifact
    assert artifact is not None
    most = {
        tensor.name: int(np.abs(numpy_helper.to_array(tensor).astype(np.int32)).max())
        for tensor in artifact.proto().graph.initializer
        if tensor.name.endswith("_w_quantized")
    }
    assert most == {"conv1_w_quantized": 64, "conv2_w_quantized": 127, "conv3_w_quantized": 64}
    assert saturating_layers(artifact.proto()) == ()


def test_qdq_below_opset_13_is_refused(model: ModelArtifact, tmp_path: Path):
    tuner = IncTuner(IncSettings(framework="onnxrt_qdq"), tmp_path / "work")
    with pytest.raises(EngineError, match="opset 13"):
        next(tuner.tune(model, ANYTHING, never, batches()))


def test_an_error_of_the_evaluation_passes_through(model: ModelArtifact, tmp_path: Path):
    def evaluate(candidate: ModelArtifact) -> float:
        raise ZeroDivisionError(candidate.path.name)

    tuner = IncTuner(IncSettings(), tmp_path / "work")
    with pytest.raises(ZeroDivisionError):
        list(tuner.tune(model, CRITERION, evaluate, batches()))
    assert tuner.stopped == "failed"


def test_a_killed_process_is_an_error_and_the_trial_before_it_is_kept(model: ModelArtifact, tmp_path: Path):
    def evaluate(_candidate: ModelArtifact) -> float:
        (child,) = children()
        child.kill()
        return 0.5

    trials: list[Trial] = []
    with pytest.raises(EngineError, match=r"(?s)died in the stage 'evaluate'.*SIGKILL.*memory"):
        trials.extend(IncTuner(IncSettings(), tmp_path / "work").tune(model, CRITERION, evaluate, batches()))
    assert [trial.metric for trial in trials] == [0.5]


def test_what_neural_compressor_swallows_is_raised_with_its_stage(model: ModelArtifact, tmp_path: Path):
    trials: list[Trial] = []
    with pytest.raises(EngineError, match=r"(?s)in the stage 'calibrate'.*InvalidArgument"):
        trials.extend(IncTuner(IncSettings(), tmp_path / "work").tune(model, CRITERION, never, batches((1, 16, 16))))
    assert [trial.failure.stage if trial.failure else None for trial in trials] == ["calibrate"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl-C interrupt, also where the tests run in the background of a shell, which turns it off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_the_child(model: ModelArtifact, tmp_path: Path):
    tuner = IncTuner(IncSettings(), tmp_path / "work")
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        list(tuner.tune(model, CRITERION, until_interrupted, batches()))
    assert tuner.stopped == "abandoned"


def test_a_caller_who_wants_no_more_trials_ends_the_child(model: ModelArtifact, tmp_path: Path):
    trials = IncTuner(IncSettings(), tmp_path / "work").tune(model, CRITERION, lambda _candidate: 0.5, batches())
    assert next(trials).metric == 0.5
    assert len(children()) == 1
    trials.close()  # type: ignore[attr-defined]
    assert children() == []


def test_the_time_limit_ends_the_child(model: ModelArtifact, tmp_path: Path):
    tuner = IncTuner(IncSettings(timeout=0.2), tmp_path / "work")
    assert list(tuner.tune(model, CRITERION, never, batches())) == []
    assert tuner.stopped == "timeout"


def test_a_missing_neural_compressor_is_named_with_the_pythons_that_have_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EngineError, match=r"(?s)3\.10, 3\.11 or 3\.12.*quantize\[inc\]"):
        require_neural_compressor()


def until_interrupted(_candidate: ModelArtifact) -> float:
    """Wait, because on a busy machine a candidate may arrive before the signal."""
    threading.Event().wait(60)
    raise AssertionError("no signal came")


def never(candidate: ModelArtifact) -> float:
    raise AssertionError(f"{candidate.path} was evaluated")
