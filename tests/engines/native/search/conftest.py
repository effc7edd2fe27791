from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.criterion import Criterion
from quantize.data.batches import Batch
from quantize.engines.native.search.latency_table import PairedLatency
from quantize.engines.native.search.race import accept
from quantize.engines.native.search.result import Judgement
from quantize.engines.native.search.search import Search
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.task import CalibrationSet
from quantize.formats.exact import open_exact_session
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.session import open_session
from quantize.recipe import Recipe


def classifier_graph() -> onnx.ModelProto:
    """Conv-Relu, two branches into a Concat, MaxPool, Conv-Clip, GlobalAveragePool, Softmax."""
    rng = np.random.default_rng(0)

    def constant(name, *shape):
        return numpy_helper.from_array(rng.normal(0, 1.2 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], "stem", kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"], "stem_relu"),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], "left", kernel_shape=[1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "left_relu"),
        helper.make_node("Conv", ["r0", "w2", "b2"], ["c2"], "right", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], "right_relu"),
        helper.make_node("Concat", ["r1", "r2"], ["cat"], "concat", axis=1),
        helper.make_node("MaxPool", ["cat"], ["pooled"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pooled", "w3", "b3"], ["c3"], "last", kernel_shape=[1, 1]),
        helper.make_node("Clip", ["c3", "zero", "six"], ["r3"], "last_clip"),
        helper.make_node("GlobalAveragePool", ["r3"], ["gap"], "gap"),
        helper.make_node("Flatten", ["gap"], ["flat"], "flatten"),
        helper.make_node("Softmax", ["flat"], ["scores"], "softmax"),
    ]
    initializers = [
        constant("w0", 8, 3, 3, 3),
        constant("b0", 8),
        constant("w1", 6, 8, 1, 1),
        constant("w2", 6, 8, 3, 3),
        constant("b2", 6),
        constant("w3", 10, 12, 1, 1),
        constant("b3", 10),
        numpy_helper.from_array(np.float32(0), "zero"),
        numpy_helper.from_array(np.float32(6), "six"),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    return save_model(classifier_graph(), tmp_path_factory.mktemp("fp32") / "classifier.onnx")


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.normal(0, 1, (40, 3, 16, 16)) + rng.normal(0, 1, (40, 3, 1, 1))).astype(np.float32)


@pytest.fixture(scope="session")
def batches(images: np.ndarray) -> list[Batch]:
    return [Batch(tuple(str(i) for i in range(at, at + 8)), images[at : at + 8], None) for at in range(0, 40, 8)]


def calibration_set(batches: list[Batch], fingerprint: str = "images") -> CalibrationSet:
    return CalibrationSet(batches, sum(len(batch.images) for batch in batches), fingerprint)


@pytest.fixture(scope="session")
def fp32_scores(model: ModelArtifact, images: np.ndarray) -> np.ndarray:
    return open_session(model.path).run(None, {"x": images})[0]


@pytest.fixture
def agreement(images: np.ndarray, fp32_scores: np.ndarray):
    """Agreement of a candidate with fp32, on all images."""

    def measured(candidate: ModelArtifact) -> float:
        scores = open_exact_session(candidate.path).run(None, {"x": images})[0]
        return float((scores.argmax(axis=1) == fp32_scores.argmax(axis=1)).mean())

    return measured


class Clock:
    """Times derived from the recipe instead of measured: every float layer costs some."""

    def __init__(self) -> None:
        self.measured: list[str] = []

    def measure(self, artifact: ModelArtifact, baseline: ModelArtifact, beside: float | None) -> PairedLatency:
        self.measured.append(artifact.path.stem)
        return PairedLatency(baseline_ns=self.time_ns(baseline), candidate_ns=self.time_ns(artifact))

    def time_ns(self, artifact: ModelArtifact) -> float:
        graph = artifact.proto().graph
        if all(node.op_type != "DequantizeLinear" for node in graph.node):
            return 1000.0
        return 400.0 + 50.0 * sum(
            tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1 for tensor in graph.initializer
        )

    def profile(self, artifact: ModelArtifact, recipe: Recipe):
        return made_profile({"stem": (300, 100), "left": (100, 40), "right": (200, 80), "last": (150, 60)})


def made_profile(times: dict[str, tuple[float, float]], conversion: float = 20.0) -> SimpleNamespace:
    """The part of a profile that a search reads: times of nodes in fp32 and int8, and of one conversion."""

    def op(origin, kind, ns):
        return SimpleNamespace(name=origin or "x_QuantizeLinear", origin=origin, kind=kind, time_ns=ns)

    baseline = [op(name, "fp32", pair[0]) for name, pair in times.items()]
    candidate = [op(name, "int8", pair[1]) for name, pair in times.items()] + [op(None, "conversion", conversion)]
    return SimpleNamespace(baseline=SimpleNamespace(operators=baseline), candidate=SimpleNamespace(operators=candidate))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def criterion() -> Criterion:
    return Criterion("agreement", minimum=0.9)


@pytest.fixture
def search_in(clock: Clock, model: ModelArtifact, batches: list[Batch], criterion: Criterion, agreement):
    """Return a function that sets up a search whose files are in a folder."""

    def set_up(
        folder: Path,
        *,
        resume: bool = False,
        searched: ModelArtifact = model,
        images: list[Batch] = batches,
        wanted: Criterion = criterion,
        evaluate=agreement,
        judge=None,
        recorded=None,
        seconds=time.monotonic,
        **settings,
    ) -> Search:
        def judged(candidate: ModelArtifact) -> Judgement:
            value = evaluate(candidate)
            return Judgement(metric=value, met=wanted.met(value), images=0, total=0)

        chosen = {"recipe": Recipe(engine="native", rewrites=("common-scales",)), "threads": 1, "choose_tensors": 1}
        chosen |= {"range_rules": ("percentile:99.999", "minmax"), "corrections": ("bias", "rounding"), "neighbours": 2}
        return Search(
            searched,
            SearchSettings(**(chosen | settings)),
            calibration_set(images),
            judge=judge or (accept if wanted.metric == "none" else judged),
            measure=clock.measure,
            profile=clock.profile,
            journal=Journal(folder / "trials.jsonl", {}, resume=resume),
            inputs={"minimum": wanted.minimum},
            folder=folder / "work",
            recorded=recorded,
            clock=seconds,
        )

    return set_up
