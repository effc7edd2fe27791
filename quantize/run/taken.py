"""The float model that a run takes from the user's file: what is quantized in it is kept, undone or refused."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import ModelProto

from quantize.errors import ConfigError, ModelError
from quantize.formats import quantized_format
from quantize.formats.given_grids import Unquantized, with_grids, without_quantization
from quantize.models.refusals import quantized_operators

KEEPS_GRIDS = ("native",)
"""Engines that quantize around grids that are given."""


@dataclass(frozen=True)
class TakenModel:
    """A file's model as the run reads it.

    Attributes:
        model: Without quantization; its metadata say which grids are to be kept.
        notes: What a reader should know of it.
        is_the_files: Whether it is the file's own: then nobody has to hold it, it can be read again.
    """

    model: ModelProto
    notes: tuple[str, ...] = ()
    is_the_files: bool = False


def taken_model(model: ModelProto, *, where: str, requantize: bool, engines: tuple[str, ...] = ()) -> TakenModel:
    """Return the float model of a file.

    Pairs of QuantizeLinear and DequantizeLinear that a model has in some places stay: their grids are given. A model
    that is quantized as a whole is refused, unless it is to be quantized anew.

    Args:
        model: As read from its file.
        where: Its name in errors.
        requantize: Whether what is quantized is undone, and chosen anew.
        engines: Those of the run.

    Raises:
        ModelError: It is quantized as a whole, or in a way that cannot be undone.
        ConfigError: An engine of the run cannot keep the grids that are given.
    """
    if quantized_format(model) == "float":
        return TakenModel(model, is_the_files=True)
    undone = without_quantization(model)
    left = quantized_operators(undone.model)
    if left:
        raise ModelError(
            "the model is quantized in a way that cannot be undone",
            where=where,
            found=f"operators {', '.join(left)}",
            expected="the fp32 model, or one with scales and zero points that are constant",
            advice="give the model that it was made from; 'quantize benchmark' measures quantized models",
        )
    if requantize:
        return TakenModel(with_grids(undone.model, {}), (_undone(undone),))
    if undone.whole:
        raise ModelError(
            "the model is quantized already",
            where=where,
            found=f"operators {', '.join(quantized_operators(model))}",
            expected="the fp32 model",
            advice="give the model that it was made from, or pass --requantize to take the quantization off and tune "
            "what is left; 'quantize benchmark' measures quantized models",
        )
    cannot = [name for name in engines if name not in KEEPS_GRIDS]
    if cannot:
        raise ConfigError(
            f"the engine '{cannot[0]}' cannot keep the grids that the model gives for some tensors",
            where=where,
            found=f"pairs of QuantizeLinear and DequantizeLinear around {_counted(undone)}",
            expected=f"--engine {KEEPS_GRIDS[0]}, or a model without them",
            advice=f"pass --engine {KEEPS_GRIDS[0]} to keep them, or --requantize to choose all grids anew",
        )
    return TakenModel(with_grids(undone.model, undone.grids), (_kept(undone),))


def taken_form(model: ModelProto, *, where: str, requantize: bool, engines: tuple[str, ...]) -> ModelProto | None:
    """Return the float model alone, see ``taken_model``; None where it is the file's own."""
    taken = taken_model(model, where=where, requantize=requantize, engines=engines)
    return None if taken.is_the_files else taken.model


def _undone(undone: Unquantized) -> str:
    return (
        f"The model was quantized: {_counted(undone)} were taken back to float (--requantize), and all grids chosen "
        "anew. What everything is compared with is that float model; its weights keep the values that they were "
        "rounded to."
    )


def _kept(undone: Unquantized) -> str:
    return (
        f"The model is quantized in places: the grids of {_counted(undone)} are as given, and the rest is quantized "
        "around them. What everything is compared with is the model without that rounding of activations."
    )


def _counted(undone: Unquantized) -> str:
    def some(count: int, what: str) -> str:
        return f"{count} {what}" + ("s" if count != 1 else "")

    parts = [(undone.activations, "activation"), (undone.weights, "constant")]
    return " and ".join(some(count, what) for count, what in parts if count)
