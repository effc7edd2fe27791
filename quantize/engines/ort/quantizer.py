"""Build recipes with onnxruntime's quantizer, each in a child process."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import onnx
from onnx import ModelProto

from quantize.engines.exchange import cleaned, write_images
from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.task import CalibrationSet
from quantize.errors import EngineError
from quantize.files import scratch_folder
from quantize.formats.kept_activations import with_activations
from quantize.graph.nodes import SCORE_KEEPING, reads, rename_reads
from quantize.graph.view import Graph
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.input_form import in_form
from quantize.processes.child import ChildError, ChildProcess
from quantize.processes.refusal import raise_refusal
from quantize.recipe import Recipe

EXCLUDED = "excluded"
"""Recipe detail: the nodes that the quantizer leaves in float; placements put further ones back to float."""

_LOG = logging.getLogger("quantize")
_WORKER = "quantize.engines.ort.worker:serve"


class TimeIsUpError(Exception):
    """The deadline passed before a model was built."""


class Quantizer:
    """Builds recipes of one model from one calibration set; a context manager that removes its scratch folder.

    Args:
        model: The prepared fp32 model.
        calibration: The calibration images.
        folder: The run's work folder: candidates stay in ``candidates/``, what was printed in a log.
        watch: Called with the child's process id when it has built a model.
    """

    def __init__(
        self,
        model: ModelArtifact,
        calibration: CalibrationSet,
        folder: Path,
        watch: Callable[[int], None] | None = None,
    ) -> None:
        self._model, self._folder, self._watch = model, folder, watch
        self._open = ExitStack()
        self._scratch = self._open.enter_context(scratch_folder("ort", inside=folder))
        batches = (replace(batch, images=in_form(model.contract, batch.images)) for batch in calibration.batches)
        self._images = write_images(batches, self._scratch / "images.f32", calibration.count)

    def __enter__(self) -> Quantizer:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the images and what the quantizer left."""
        self._open.__exit__(kind, error, trace)

    def build(self, recipe: Recipe, deadline: float | None = None) -> ModelArtifact:
        """Return the model of a recipe, before any placement.

        Args:
            recipe: A recipe of this engine.
            deadline: Value of ``time.monotonic()`` at which to give up; None: wait for ever.

        Raises:
            EngineError: The quantizer failed or died.
            StorageError: The system did not let it write, or its disk is full.
            TimeIsUpError: The deadline passed.
        """
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeIsUpError
        output = self._scratch / "built.onnx"
        log = self._folder / "onnxruntime_quantizer.log"
        environment = {"PYTHONHASHSEED": "0", "TMPDIR": str(self._scratch)}
        try:
            with ChildProcess(_WORKER, folder=self._scratch, stderr=log, environment=environment) as child:
                child.send(self._job(recipe, output))
                answer = child.receive(deadline)
                if self._watch is not None:
                    self._watch(child.pid)
        except ChildError as error:
            if error.reason == "time":
                raise TimeIsUpError from None
            raise_refusal(None, self._scratch)
            raise EngineError(
                "the process of onnxruntime's quantizer died",
                found=[error.how, *error.stderr.splitlines()],
                advice="lower sampling_size: it may have run out of memory"
                if error.out_of_memory
                else "see what it printed last",
            ) from None
        if "error" in answer:
            _LOG.debug("%s", answer["traceback"])
            raise_refusal(answer["refused"], self._scratch)
            raise EngineError(
                "onnxruntime's quantizer failed",
                found=answer["error"],
                advice="its traceback is in the log at level DEBUG; another engine may take this model",
            )
        built = with_activations(with_float_scores(cleaned(onnx.load(output))), self._model.proto())
        output.unlink()
        return save_model(built, self._folder / "candidates" / f"{recipe.id}.onnx")

    def _job(self, recipe: Recipe, output: Path) -> dict[str, object]:
        contract = self._model.contract
        symmetric = "symmetric" if recipe.symmetric_activations else "asymmetric"
        ranges = f"{recipe.range_rule.partition(':')[0]}-{symmetric}-{'-'.join(recipe.float_op_types)}.json"
        return {
            "model": str(self._model.path.resolve()),
            "output": str(output.resolve()),
            "images": str(self._images.path.resolve()),
            "shape": list(self._images.shape),
            "input": contract.input.name,
            "dtype": contract.input.dtype,
            "batch_size": contract.fixed_batch or 1,
            "ranges": str((self._scratch / ranges).resolve()),
            "op_types": list(op_types_of(recipe)),
            "excluded": excluded_nodes(recipe),
            **recipe.model_dump(
                include={
                    "activation_type",
                    "weight_type",
                    "per_channel",
                    "symmetric_activations",
                    "reduce_range",
                    "range_rule",
                }
            ),
        }


def excluding(recipe: Recipe, nodes: Sequence[str]) -> Recipe:
    """Return a recipe whose quantizer leaves some nodes in float, and no others."""
    names = sorted(set(nodes))
    details = {**dict(recipe.details), EXCLUDED: json.dumps(names, separators=(",", ":"))}
    return recipe.but(float_nodes=tuple(names), details=tuple(sorted(details.items())))


def excluded_nodes(recipe: Recipe) -> list[str]:
    """Return the nodes that a recipe's quantizer leaves in float."""
    names: list[str] = json.loads(dict(recipe.details)[EXCLUDED])
    return names


def with_float_scores(model: ModelProto) -> ModelProto:
    """Return a QDQ model whose scores are no 8-bit levels: 256 of them give images two equal top scores.

    The last layer still takes 8-bit inputs and weights; only the rounding of what it gives is taken away.
    """
    result = ModelProto()
    result.CopyFrom(model)
    graph = Graph.of(result)
    passed = []
    tensor = graph.outputs[0]
    while (node := graph.producer(tensor)) is not None:
        if node.op_type in SCORE_KEEPING:
            tensor = node.input[0]
            continue
        rounding = graph.producer(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if rounding is None or rounding.op_type != "QuantizeLinear":
            break
        passed.append((rounding, node))
        tensor = rounding.input[0]
    for rounding, back in passed:
        _bypass(result, rounding, back)
    return result


def _bypass(model: ModelProto, rounding: onnx.NodeProto, back: onnx.NodeProto) -> None:
    """Let the readers of a rounded tensor read the tensor itself."""
    graph, source, rounded = model.graph, rounding.input[0], back.output[0]
    graph.node.remove(back)
    if not any(rounding.output[0] in reads(node) for node in graph.node):
        graph.node.remove(rounding)
    if rounded not in {value.name for value in graph.output}:
        for node in graph.node:
            rename_reads(node, rounded, source)
        return
    for node in graph.node:  # the scores keep their name, and so do those that a second output gives before a Softmax
        rename_reads(node, source, rounded)
        for position, name in enumerate(node.output):
            if name == source:
                node.output[position] = rounded
