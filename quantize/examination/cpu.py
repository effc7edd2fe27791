"""What can CPUs gain from int8, and do sums of products saturate on those without VNNI?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from onnx import ModelProto, numpy_helper

from quantize.config.quantization import QuantizationBlock
from quantize.examination.findings import Examination, Finding, not_checked, right
from quantize.examination.saturation import LayerSaturation
from quantize.graph.nodes import INTEGER_WEIGHTED
from quantize.measurement.machine.text import busy_words, saturation_words
from quantize.report.provenance import MachineSection
from quantize.report.wording import percent
from quantize.target import saturates

_MACHINE, _SATURATION = "machine", "saturation"


def examine_cpu(section: MachineSection) -> Examination:
    """Return what int8 is expected to gain in the model on this CPU, with a note if it has no VNNI.

    Args:
        section: The CPU, measured, and the model's expectation.
    """
    machine = section.machine
    busy = busy_words(machine)
    text = f"class {machine.cpu_class}; {section.line}" + (f". {busy}" if busy is not None else "")
    notes = [_without_dot_product(section)] if saturates(machine.cpu_class) else []
    return right(_MACHINE, text, *notes)


def _without_dot_product(section: MachineSection) -> Finding:
    machine, rates = section.machine, section.machine.single.of("pointwise")
    gains = "what int8 gains here is not known"
    if section.expectation is not None:
        gains = f"int8 is expected to gain {section.expectation.gain:.1f}x here"
    return Finding(
        check=_MACHINE,
        severity="note",
        what=f"This CPU has no dot product of int8 (VNNI): {gains}.",
        sure="certain",
        evidence=f"onnxruntime {machine.onnxruntime} reaches {rates.int8 / 1e9:.0f} G multiply-adds a second in int8 "
        f"and {rates.fp32 / 1e9:.0f} in fp32 (Conv 1x1, one thread). {saturation_words(machine)}",
        advice="Tune with --target auto, the default: layers that int8 makes slower stay in fp32. Where the model will "
        "run on CPUs with VNNI, name them; speed is then not judged here.",
        command="--target vnni",
    )


# Rounding to 8 bits leaves an error of a thousandth of a layer's variance or less. SqueezeNet's stem loses 4 to 14 % to
# saturation, and the model names another class on a third of the images; EfficientNet-Lite0's layers lose up to 5 %,
# and its scores move by a tenth: docs/decisions/target.md.
_TOO_MUCH = 0.01


def examine_saturation(
    layers: Sequence[LayerSaturation], settings: QuantizationBlock, agreement: Callable[[int], float]
) -> Examination:
    """Return whether sums of products would saturate on CPUs without VNNI, and what the settings do about it.

    Args:
        layers: How each layer fares in 16 bits.
        settings: The CPUs that the model is for, and the bits of its weights.
        agreement: Returns the share of images with fp32's top-1 when weights have this many bits.
    """
    if not layers:
        return not_checked(_SATURATION, "no layer with constant weights")
    worst = max(layers, key=lambda layer: layer.noise)
    if worst.noise < _TOO_MUCH:
        return right(_SATURATION, f"little, even without VNNI (most: {_seen(worst)})")
    if not settings.narrow_weights:
        return right(
            _SATURATION, f"none with VNNI, the target; without it, --target any is needed (most: {_seen(worst)})"
        )
    too_much = sorted((layer for layer in layers if layer.noise >= _TOO_MUCH), key=lambda layer: -layer.noise)
    more = f"; {len(too_much) - 5} more" if len(too_much) > 5 else ""
    eight, seven = agreement(8), agreement(7)
    return right(
        _SATURATION,
        "none with 7-bit weights, as the target asks for; 8 bits would saturate",
        Finding(
            check=_SATURATION,
            severity="note",
            what="Without VNNI, sums of products of 8-bit weights saturate: 7-bit weights are needed.",
            sure="very likely",
            evidence="on calibration images, " + "; ".join(map(_seen, too_much[:5])) + more,
            advice="Tune for the same target: its weights have 7 bits and cannot saturate. Rounded so and no more, the "
            f"model agrees with fp32's top-1 on {percent(seven, 1)} of the images ({percent(eight, 1)} with 8 bits); "
            "--engine native loses less.",
            command=f"--target {'any' if settings.cpus == 'vnni' else settings.cpus}",
        ),
    )


def _seen(layer: LayerSaturation) -> str:
    return f"{layer.node}, {percent(layer.share)} of its sums, {percent(layer.noise, 1)} of its output's variance"


def with_rounded_weights(model: ModelProto, bits: int) -> ModelProto:
    """Return the fp32 model with its layers' weights rounded to ``bits``, one scale an output channel."""
    rounded = ModelProto()
    rounded.CopyFrom(model)
    axes = {
        node.input[1]: _output_axis(node.op_type, node.attribute) for node in model.graph.node if _has_weights(node)
    }
    most = 2 ** (bits - 1) - 1
    for tensor in rounded.graph.initializer:
        if tensor.name in axes:
            values = numpy_helper.to_array(tensor)
            other = tuple(axis for axis in range(values.ndim) if axis != axes[tensor.name] % values.ndim)
            largest = np.abs(values).max(axis=other, keepdims=True)
            step = np.where(largest > 0, largest, 1) / most
            tensor.CopyFrom(numpy_helper.from_array((np.rint(values / step) * step).astype(np.float32), tensor.name))
    return rounded


def _has_weights(node: object) -> bool:
    return getattr(node, "op_type", "") in INTEGER_WEIGHTED


def _output_axis(op_type: str, attributes: Sequence[object]) -> int:
    transposed = any(getattr(entry, "name", "") == "transB" and getattr(entry, "i", 0) for entry in attributes)
    return 0 if op_type == "Conv" or transposed else -1
