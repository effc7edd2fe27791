"""Neural Compressor 1.x keys that are accepted but ignored, with a note where they would have had an effect.

The keys are those of ``neural_compressor/conf/config.py`` of release 1.14.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quantize.config.document import Document, KeyPath
from quantize.config.nearest import nearest, one_of
from quantize.config.problem import Problem, dotted, shown
from quantize.config.schema import block_at


@dataclass(frozen=True)
class _Unused:
    """A key that is accepted and not used.

    Attributes:
        reason: What happens instead, for the note.
        nothing: Values that ask for what happens anyway: they need no note.
    """

    reason: str
    nothing: tuple[object, ...] = ()


_ENGINE_DECIDES = "the engine decides that"
_ONLY_POST_TRAINING = "only post-training quantization is done here"
_THREADS = "threads follow cores_per_instance"
_RECIPES = (
    "scale_propagation_max_pooling",
    "scale_propagation_concat",
    "first_conv_or_matmul_quantization",
    "last_conv_or_matmul_quantization",
    "pre_post_process_quantization",
    "ffn_matmul_quantization",
)
_INSTANCE = ("inter_num_of_threads", "intra_num_of_threads", "kmp_blocktime", "kmp_affinity")
_DIAGNOSIS = ("diagnosis_after_tuning", "op_list", "iteration_list", "inspect_type", "save_to_disk", "save_path")
_SIGOPT = ("sigopt_api_token", "sigopt_project_id", "sigopt_experiment_name")
_WEIGHTS = ("accuracy_weight", "latency_weight", "confidence_batches", "hawq_v2_loss")

_UNUSED: dict[str, _Unused] = {
    "device": _Unused("models run on the CPU", ("cpu",)),
    "use_bf16": _Unused("bfloat16 is not used", (False,)),
    "optimization_level": _Unused(_ENGINE_DECIDES, (1,)),
    **{
        block: _Unused(_ONLY_POST_TRAINING)
        for block in (
            "graph_optimization",
            "mixed_precision",
            "pruning",
            "distillation",
            "auto_distillation",
            "nas",
            "train",
            "quantization.train",
        )
    },
    "model.inputs": _Unused("the model file says so", ([],)),
    "model.outputs": _Unused("the model file says so", ([],)),
    "quantization.advance": _Unused(_ENGINE_DECIDES),
    "quantization.optimization_level": _Unused(_ENGINE_DECIDES, (1,)),
    **{f"quantization.recipes.{name}": _Unused(_ENGINE_DECIDES, (True,)) for name in _RECIPES},
    "quantization.recipes.fast_bias_correction": _Unused(_ENGINE_DECIDES, (False,)),
    "quantization.recipes.weight_correction": _Unused(_ENGINE_DECIDES, (False,)),
    "evaluation.accuracy.configs": _Unused("accuracy does not depend on the number of instances"),
    "evaluation.accuracy.iteration": _Unused("all images are evaluated", (-1,)),
    "evaluation.accuracy.postprocess": _Unused("labels are compared as they are"),
    "evaluation.performance.postprocess": _Unused("the model alone is timed"),
    **{f"evaluation.performance.configs.{name}": _Unused(_THREADS) for name in _INSTANCE},
    **{f"tuning.strategy.{name}": _Unused("no other service is called") for name in _SIGOPT},
    **{f"tuning.strategy.{name}": _Unused(_ENGINE_DECIDES) for name in _WEIGHTS},
    "tuning.objective": _Unused("the goal is speed at the accuracy asked for", ("performance",)),
    "tuning.multi_objectives": _Unused("the goal is speed at the accuracy asked for"),
    "tuning.exit_policy.performance_only": _Unused("`--criterion none` leaves accuracy out", (False,)),
    "tuning.tensorboard": _Unused("no tensors are dumped", (False,)),
    "tuning.workspace.path": _Unused("the workspace is in the run's folder"),
    "tuning.workspace.resume": _Unused("`--resume RUN` continues a run"),
    **{f"tuning.diagnosis.{name}": _Unused("no tensors are dumped", (False,)) for name in _DIAGNOSIS},
}
_TENSOR_KEYS = {"bit": "weights have 8 bits", "compute_dtype": "for another framework"}


def set_unused_aside(document: Document, notes: list[str]) -> None:
    """Take the keys that are accepted and not used out of a document, with a note for each that asks for something."""
    for key, unused in _UNUSED.items():
        path: KeyPath = tuple(key.split("."))
        where = document.where(path, key=True)
        if not document.has(path):
            continue
        value = document.take(path)
        if value is not None and value not in unused.nothing:
            notes.append(f"{where}: {key}: accepted, not used: {unused.reason}")
    for path in _tensor_constraints(document):
        for name, reason in _TENSOR_KEYS.items():
            if document.take((*path, name)) is not None:
                notes.append(
                    f"{document.where((*path, name), key=True)}: {dotted((*path, name))}: accepted, not used: {reason}"
                )
    _report_rest_of_unused_blocks(document)


def _report_rest_of_unused_blocks(document: Document) -> None:
    """Report keys in blocks of Neural Compressor that it does not know either."""
    for block in {tuple(key.split(".")[:-1]) for key in _UNUSED}:
        if not block or block_at(block) is not None or not document.has(block):
            continue
        rest = document.take(block)
        if rest is None:
            continue
        known = [key.split(".")[-1] for key in _UNUSED if tuple(key.split(".")[:-1]) == block]
        if not isinstance(rest, dict):
            document.problems.append(
                Problem(document.where(block), f"{dotted(block)}: wrong type", shown(rest), "a block of keys")
            )
            continue
        for name in rest:
            document.problems.append(unknown_key(document, (*block, name), known))


def unused_names(block: KeyPath) -> list[str]:
    """Return the names in a block that are accepted and not used."""
    inside = [key.split(".")[len(block)] for key in _UNUSED if tuple(key.split(".")[: len(block)]) == block]
    return sorted(set(inside))


def unknown_key(document: Document, path: KeyPath, known: Iterable[str]) -> Problem:
    """Return the problem of a key that a block of Neural Compressor's does not have."""
    names = list(known)
    meant = nearest(str(path[-1]), names)
    return Problem(
        document.where(path, key=True),
        f"{dotted(path)}: unknown key",
        expected=one_of(names),
        advice=f"did you mean `{meant}`?" if meant else None,
    )


def _tensor_constraints(document: Document) -> list[KeyPath]:
    """Return the paths of all weight and activation constraints."""
    ops: list[KeyPath] = [("quantization", "model_wise")]
    for block in ("optype_wise", "op_wise"):
        constraints = document.get(("quantization", block))
        if isinstance(constraints, dict):
            ops += [("quantization", block, name) for name in constraints]
    return [(*op, side) for op in ops for side in ("weight", "activation")]
