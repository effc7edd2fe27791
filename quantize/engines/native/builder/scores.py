"""Correct the remaining mean difference of the scores, in float, before the Softmax.

Analytic bias correction takes off what rounding the weights adds to a mean. Rounding and clipping the activations
adds to it too, and that only an inference shows: the candidate's scores are compared with the fp32 model's on
calibration images, and each class' mean difference is added (empirical bias correction, M. Nagel et al., ICCV 2019,
appendix D, at the last layer only). Added in float, it also keeps sums of 8-bit levels from being equal.

A mean over some hundred images is itself uncertain, and with many classes what it is off by adds up. So the means are
shrunk towards zero by the share of their size that is chance (B. Efron, C. Morris, Stein's paradox in statistics,
Scientific American 236, 1977).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from quantize.calibration.exposure import with_outputs
from quantize.formats.exact import open_exact_session
from quantize.graph.nodes import LINEAR, RESHAPING, replace_all
from quantize.graph.view import Graph
from quantize.models.contract import score_kind, score_task
from quantize.models.input_form import filled
from quantize.models.weights_apart import weights_apart
from quantize.processes.memory import give_back_unused

Floats = npt.NDArray[np.float32]

_MICRO_BATCH = 8
_SHIFTED = ":before_shift"


def corrected_scores(candidate: onnx.ModelProto, reference: Floats, own: Floats) -> onnx.ModelProto:
    """Return ``candidate`` with every class' mean difference from the reference added to its logits.

    Args:
        candidate: The quantized model.
        reference: float32 (N, ...), the fp32 model's logits on N images, see ``logits``.
        own: float32 (N, ...), the candidate's on the same images.
    """
    shift = mean_shift(reference, own, by_class=_each_by_itself(candidate, reference[0].size))
    result = onnx.ModelProto()
    result.CopyFrom(candidate)
    tensor = logits_tensor(result)
    makers = [node for node in result.graph.node if tensor in node.output]
    if not makers:
        return result
    maker = makers[0]
    taken = {name for node in result.graph.node for name in node.output}
    before, constant = tensor + _SHIFTED, f"{tensor}:shift"
    while before in taken:  # a candidate may have been corrected before, when some of its layers were others
        before, constant = before + _SHIFTED, f"{constant}:shift"
    maker.output[list(maker.output).index(tensor)] = before
    result.graph.initializer.append(numpy_helper.from_array(shift.astype(np.float32), constant))
    added = helper.make_node("Add", [before, constant], [tensor], f"{maker.name}:shift")
    nodes = list(result.graph.node)
    nodes.insert(nodes.index(maker) + 1, added)
    replace_all(result.graph.node, nodes)
    return result


def mean_shift(reference: Floats, own: Floats, *, by_class: bool = False) -> npt.NDArray[np.float64]:
    """Return what to add to each class' logit, float64 (1, ...): the mean difference, shrunk by its uncertainty.

    Args:
        reference: float32 (N, ...), logits of the fp32 model.
        own: float32 (N, ...), logits of the candidate.
        by_class: Whether each logit says something by itself, as behind a Sigmoid, or only beside the others.
    """
    differences = reference.astype(np.float64) - own
    shift: npt.NDArray[np.float64] = differences.mean(axis=0, keepdims=True)
    if len(differences) < 2:
        return shift
    # The same number added to all logits changes no probability; only what differs between classes counts.
    contrasts = differences
    if not by_class:
        contrasts = differences - differences.mean(axis=tuple(range(1, differences.ndim)), keepdims=True)
    size = float(np.square(contrasts.mean(axis=0)).sum())
    chance = float(contrasts.var(axis=0, ddof=1).sum()) / len(contrasts)
    return shift * max(0.0, 1.0 - chance / size) if size > 0.0 else shift


def _each_by_itself(model: onnx.ModelProto, columns: int) -> bool:
    """Return whether each score of a model whose first output is its scores says something without the others."""
    return score_task(model, columns, score_kind(model)) != "one class"


def logits(model: onnx.ModelProto, images: Iterable[Floats], threads: int = 1) -> Floats:
    """Return float32 (N, ...), what the model's Softmax or Sigmoid takes, or its scores if it has none.

    Args:
        model: The fp32 model or a candidate.
        images: float32 batches of any size, N images in all, as the model takes them; each is released once it has
            run, and how the images are cut into batches changes no bit of the result.
        threads: Micro-batches that run at a time.
    """
    tensor = logits_tensor(model)
    # What is corrected is what quantizing did, not what the CPU at hand saturates: the same model is made everywhere.
    with weights_apart(model) as apart:
        del model
        session = open_exact_session(with_outputs(apart.model, [tensor]), data=apart.folder, arena=False)
        del apart
    give_back_unused()  # what opening it took
    given = session.get_inputs()[0]
    fixed = given.shape[0] if isinstance(given.shape[0], int) else None

    def run(part: Floats) -> Floats:
        values: Floats = session.run([tensor], {given.name: filled(part, fixed or 0)})[0]
        return values[: len(part)]

    waiting = of_size(fixed or _MICRO_BATCH, images)
    parts: list[Floats] = []
    with ThreadPoolExecutor(threads) as pool:
        while together := list(islice(waiting, threads)):
            parts += pool.map(run, together)
    return np.concatenate(parts)


def of_size(size: int, batches: Iterable[Floats]) -> Iterator[Floats]:
    """Yield the images of the batches in groups of one size; the last may be smaller."""
    rest: Floats | None = None
    for batch in batches:
        rest = batch if rest is None or not len(rest) else np.concatenate([rest, batch])
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if rest is not None and len(rest):
        yield rest


def logits_tensor(model: onnx.ModelProto) -> str:
    """Return the tensor that the last Softmax or Sigmoid takes, or the model's output without one."""
    graph = Graph.of(model)
    output = graph.outputs[0]
    tensor = output
    while (node := graph.producer(tensor)) is not None:
        if node.op_type in ("Softmax", "Sigmoid"):
            return str(node.input[0])
        if node.op_type not in (*RESHAPING, *LINEAR):
            break
        tensor = node.input[0]
    return output
