"""How each engine makes a small model's candidate, all of it in int8, without a search."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from onnx import ModelProto

from quantize.criterion import Criterion
from quantize.engines.inc.settings import IncSettings
from quantize.engines.inc.tuner import IncTuner
from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.engines.native.search.op_graph import head_ops, op_graph
from quantize.engines.native.search.source_graph import rebuild
from quantize.engines.ort import quantizer
from quantize.engines.ort.engine import ENGINE as ORT
from quantize.engines.ort.quantizer import excluding
from quantize.engines.ort.worker import serve
from quantize.engines.task import CalibrationSet
from quantize.formats.float_reasons import float_reasons
from quantize.graph.opsets.raising import raise_opset
from quantize.models.artifact import ModelArtifact
from quantize.processes.parent import Message
from quantize.recipe import Recipe
from tests.vocabulary.quantized import IMAGES, Built, Candidate

NATIVE = Recipe(engine="native", corrections=("rounding", "bias", "scores"), details=((FLOAT_OUTPUTS, "true"),))
PLAIN = Recipe(engine="ort")


def natively(recipe: Callable[[ModelProto], Recipe] | Recipe = NATIVE) -> Built:
    """Return what makes the native engine's candidate of a recipe. What stands behind the last layer stays in float."""

    def built(model: ModelArtifact, calibration: CalibrationSet, folder: Path) -> Candidate:
        of_model = recipe if isinstance(recipe, Recipe) else recipe(model.proto())
        nodes = {*_head(model.proto(), of_model), *of_model.float_nodes}
        whole = of_model.but(float_nodes=tuple(sorted(nodes)))
        return Candidate(rebuild(model, whole, calibration, folder, threads=1), whole)

    return built


def by_onnxruntime(model: ModelArtifact, calibration: CalibrationSet, folder: Path) -> Candidate:
    """Return the candidate of onnxruntime's quantizer, which runs in this process: to start one takes longer."""
    proto = model.proto()
    recipe = excluding(PLAIN, [*_head(proto, PLAIN), *float_reasons(proto, op_types_of(PLAIN))])
    with mock.patch.object(quantizer, "ChildProcess", in_this_process):
        return Candidate(ORT.build(model, recipe, calibration, folder), recipe)


def by_neural_compressor(model: ModelArtifact, calibration: CalibrationSet, folder: Path) -> Candidate:
    """Return the first candidate of Neural Compressor that onnxruntime runs: others are failed trials."""
    settings = IncSettings(strategy="basic", sampling_size=IMAGES, max_trials=12)
    trials = IncTuner(settings, folder).tune(model, Criterion("none"), lambda _: 1.0, calibration.batches)
    failures = []
    for trial in trials:
        if trial.artifact is not None:
            break
        failures.append(trial.failure)
    assert trial.artifact is not None, failures
    return Candidate(trial.artifact, trial.recipe)


def _head(prepared: ModelProto, recipe: Recipe) -> frozenset[str]:
    model = raise_opset(prepared, 13)
    return head_ops(op_graph(model, op_types_of(recipe)), {layer.node for layer in layers(model)})


class _Here:
    """Both ends of the conversation with the child process of onnxruntime's quantizer, in one process."""

    pid = 0

    def __init__(self) -> None:
        self._job: Message = {}
        self._answer: Message = {}

    def send(self, job: Message) -> None:
        self._job = job

    def receive(self, _deadline: float | None = None) -> Message:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a process of its own, they go to its log
            serve(mock.Mock(receive=lambda: self._job, send=self._take))
        return self._answer

    def _take(self, answer: Message) -> None:
        self._answer = answer


@contextmanager
def in_this_process(*_: object, **__: object) -> Iterator[_Here]:
    """Stand in for the child process of onnxruntime's quantizer."""
    yield _Here()
