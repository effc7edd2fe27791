"""The child process in which Neural Compressor runs.

It starts in a folder inside the run's ``work``, speaks the messages of ``conversation``, and is the only module that
imports ``neural_compressor``. It works around Neural Compressor's faults, each where it says so: swallowed exceptions,
a time-out delivered like Ctrl-C, its choice of logging, prints, a working folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from quantize.engines.inc.narrowing import could_saturate
from quantize.engines.inc.parent import CalibrationImages, Engine, SentLog
from quantize.graph.nodes import holds_graphs
from quantize.processes.parent import Message, Parent

_BASELINE_SCORE = 1.0
_TOLERATED_LOSS = 1.0


class _Tuning:
    """Asks the engine about each candidate, and tells Neural Compressor what to think of it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._candidates = 0
        self._configured = False

    def begin(self, configuration: dict[str, Any]) -> None:
        ops = [[name, op_type, _plain(state)] for (name, op_type), state in configuration["op"].items()]
        self._engine.send("begin", ops=ops, images=int(configuration["calib_sampling_size"]))
        self._configured = True

    def score(self, model: onnx.ModelProto) -> float:
        """Return what Neural Compressor is to think of a model.

        Only the engine knows the criterion. Neural Compressor compares once by ``>=`` and once by ``>``, and rounds; so
        it is told the distance to the criterion, one further on once it is met, and to accept what is above 0. The
        order of candidates, which is all that its strategies look at, is kept.
        """
        if not self._configured:  # it first evaluates the fp32 model, whose value the engine knows
            return _BASELINE_SCORE
        path = self._folder / f"candidate-{self._candidates}.onnx"
        self._candidates += 1
        path.write_bytes(model.SerializeToString(deterministic=True))
        self._engine.enter("evaluate")
        self._engine.send("candidate", path=str(path))
        answer = self._engine.receive()
        self._engine.enter("search")
        return float(answer["margin"]) + (1.0 if answer["met"] else 0.0)


def _plain(state: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {tensor: {key: str(value) for key, value in entry.items()} for tensor, entry in state.items()}


def _wrap(owner: Any, name: str, before: Callable[..., None]) -> None:
    """Call ``before`` with the same arguments ahead of each call of a method."""
    method = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        before(*arguments, **named)
        return method(*arguments, **named)

    setattr(owner, name, wrapped)


def _observe(engine: Engine, tuning: _Tuning | None) -> None:
    """Learn from Neural Compressor's own code what it does, and what it keeps to itself."""
    from neural_compressor import quantization
    from neural_compressor.adaptor.onnxrt import ONNXRUNTIMEAdaptor

    @contextmanager
    def watched(_seconds: float) -> Iterator[None]:
        # Stands in for `time_limit`, which surrounds the whole search inside `fit`: the engine keeps the time, and
        # `fit` swallows every exception that leaves this block.
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - it is reported, and the process ends with it
            engine.fail(error)
            os._exit(1)
        if tuning is not None:
            # `fit` would now build its choice once more. Every candidate has been kept: there is nothing to wait for.
            engine.send("finished", path=None)
            os._exit(0)

    quantization.time_limit = watched
    quantization.dump_class_attrs = lambda *_arguments: None  # else it logs its whole configuration, line by line
    _wrap(ONNXRUNTIMEAdaptor, "_get_quantize_params", lambda *_a, **_n: engine.enter("calibrate"))
    _wrap(ONNXRUNTIMEAdaptor, "_quantize_model", lambda *_a, **_n: engine.enter("quantize"))
    if tuning is not None:
        _wrap(ONNXRUNTIMEAdaptor, "quantize", lambda _self, configuration, *_a, **_n: tuning.begin(configuration))


def _narrow_weights_only() -> None:
    """If 7 bits are requested, give them to weights whose sums could leave 16 bits, and 8 to everything else.

    Neural Compressor's ``reduce_range`` takes a bit off all weights, and off activations too: on SqueezeNet, five times
    the divergence from fp32.
    """
    from neural_compressor.adaptor.ox_utils.calibration import ONNXRTAugment
    from neural_compressor.adaptor.ox_utils.quantizer import Quantizer

    _wrap(ONNXRTAugment, "dump_calibration", lambda augment, *_a, **_n: setattr(augment, "reduce_range", False))
    for name in ("quantize_weight_per_channel", "_get_quantized_weight"):
        _narrow_where_needed(Quantizer, name)


def _narrow_where_needed(owner: Any, name: str) -> None:
    """Let a method that quantizes one weight drop the bit only if that keeps sums within 16 bits."""
    method = getattr(owner, name)

    def wrapped(quantizer: Any, weight: Any, kind: int, scheme: str, axis: int | None = None) -> Any:
        asked = quantizer.reduce_range
        tensor = quantizer.model.get_initializer(weight if isinstance(weight, str) else weight.name)
        users = [node for node in quantizer.model.nodes() if tensor.name in node.input]
        signed = kind == onnx.TensorProto.INT8  # products of uint8 weights are added in 32 bits
        quantizer.reduce_range = asked and signed and could_saturate(numpy_helper.to_array(tensor), axis, users)
        try:
            return method(quantizer, weight, kind, scheme, *([] if axis is None else [axis]))
        finally:
            quantizer.reduce_range = asked

    setattr(owner, name, wrapped)


def _optimizations(model: onnx.ModelProto) -> str:
    """Return what onnxruntime optimizes before Neural Compressor looks at the graph.

    Nothing where nodes hold graphs: the Identities would go that show Neural Compressor what these read from outside.
    """
    return "DISABLE_ALL" if any(map(holds_graphs, model.graph.node)) else "ENABLE_BASIC"


def _configuration(job: Message, model: onnx.ModelProto) -> Any:
    from neural_compressor.config import AccuracyCriterion, PostTrainingQuantConfig, TuningCriterion

    return PostTrainingQuantConfig(
        approach="static",
        domain="cv",
        quant_format="QDQ" if job["container"] == "qdq" else "QOperator",
        calibration_sampling_size=[job["images_used"]],
        recipes={"graph_optimization_level": _optimizations(model)},
        op_type_dict=job["op_types"],
        op_name_dict=job["op_names"],
        reduce_range=job["reduce_range"],
        quant_level=job["quant_level"],
        accuracy_criterion=AccuracyCriterion(criterion="absolute", tolerable_loss=_TOLERATED_LOSS),
        tuning_criterion=TuningCriterion(
            # quant_level decides for 'auto' and 'conservative', which are no names here.
            strategy=job["strategy"] if job["quant_level"] == 1 else "basic",
            timeout=0 if job["stop_when_met"] else 1,  # not a time: 0 stands for "stop at the first success"
            max_trials=job["most_configurations"],
            objective="accuracy",  # 'performance' is the time of the evaluation: another result every time
        ),
    )


def _fit(engine: Engine, job: Message) -> None:
    engine.enter("import")
    from neural_compressor import quantization, set_random_seed, set_workspace

    logger = logging.getLogger("neural_compressor")
    logger.handlers = [SentLog(engine)]
    logger.setLevel(logging.INFO)
    set_random_seed(job["seed"])
    set_workspace(str(Path.cwd() / "workspace"))

    engine.enter("load")
    tuning = _Tuning(engine, Path.cwd()) if job["tune"] else None
    _observe(engine, tuning)
    _narrow_weights_only()
    model = onnx.load(job["model"])
    images = CalibrationImages(job["images"], job["shape"], job["batch_size"])

    def evaluate(candidate: onnx.ModelProto) -> float:
        return tuning.score(candidate) if tuning is not None else _BASELINE_SCORE

    engine.enter("prepare")
    built = quantization.fit(
        model, _configuration(job, model), calib_dataloader=images, eval_func=evaluate if tuning is not None else None
    )
    path = Path.cwd() / "built.onnx"
    path.write_bytes(built.model.SerializeToString(deterministic=True))
    engine.send("finished", path=str(path))


def main(parent: Parent) -> None:
    """Do the one job that is sent first; every exception is reported before it ends the process."""
    engine = Engine(parent)
    job = engine.receive()
    try:
        _fit(engine, job)
    except BaseException as error:
        engine.fail(error)
        raise
