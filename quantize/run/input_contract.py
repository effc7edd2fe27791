"""Runs whose models take another input than the given fp32 model, such as raw pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.engines.engine import engine_named
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import Recipe
from quantize.report.data import InputContractSection
from quantize.rewrites import InputContract, Movement, check_input_contract, fold_input_contract, fold_nearest
from quantize.rewrites.contract_check import FLOAT_WITHIN, QUANTIZED_WITHIN
from quantize.run.context import Context, Prepared

_CHECKED_IMAGES = 32


@dataclass(frozen=True)
class Contracted:
    """A run after its models' input is decided.

    Attributes:
        context: The run; its model and preprocessing are those of the requested input.
        candidate: The quantized model with that input.
        section: What the report says of it; None if the input stays as it is.
    """

    context: Context
    candidate: ModelArtifact
    section: InputContractSection | None


def contract_preprocessing(preprocessing: Preprocessing, contract: InputContract) -> Preprocessing:
    """Return how a model with an input contract is fed: the same crops, normalized as the contract says, or not."""
    if contract == "as-is":
        return preprocessing
    pixels = preprocessing.without_normalization()
    if contract != "imagenet":
        return pixels
    like = PRESETS["imagenet"]
    return pixels.model_copy(update={"scale": like.scale, "mean": like.mean, "std": like.std})


def require_foldable(context: Prepared) -> None:
    """Refuse a model whose first Conv cannot take the normalization in, before anything is tuned.

    Raises:
        ModelError: It cannot, or its scores move by more than float32 rounding.
    """
    if context.config.input_contract != "as-is":
        _folded_float(context)


def contracted(context: Context, candidate: ModelArtifact, recipe: Recipe) -> Contracted:
    """Return the run and its candidate with the requested input; the fp32 model gets it too.

    Where the first weight is rescaled by channel, it is rounded again: from fp32's, or from the candidate's own as an
    engine chose its integers. Of both, the model is taken whose scores are closer to fp32's on calibration images.

    Args:
        context: The run.
        candidate: The quantized model before its rewrites.
        recipe: What it was built from.

    Raises:
        ModelError: The first Conv cannot take the normalization in, or the scores move by more than rounding.
    """
    if context.config.input_contract == "as-is":
        return Contracted(context, candidate, None)
    with context.stages.stage("fold the input contract"):
        return _contracted(context, candidate, recipe)


def _contracted(context: Context, candidate: ModelArtifact, recipe: Recipe) -> Contracted:
    contract = context.config.input_contract
    images, folder = context.images, context.folder
    own, crops = images.preprocessing, _crops(context)
    folded, float_moved = _folded_float(context)
    fp32, int8 = context.model.proto(), candidate.proto()
    source = engine_named(recipe.engine).reference(fp32, recipe)
    quantized = fold_nearest(int8, contract, own, crops, fp32=fp32, references=(source, None))
    moved = check_input_contract(int8, quantized, contract, own, crops)
    beside, inside = folder.fp32, folder.work / f"fp32-{contract}.onnx"
    given = context.form.applied(folded if context.ending is None else context.ending.attached(folded), own_input=True)
    model = save_model(folded, inside if given is not folded else beside or inside)
    changed = replace(
        context,
        model=model,
        whole=model if given is folded else save_model(given, beside or folder.work / "fp32-whole.onnx"),
        images=replace(images, preprocessing=contract_preprocessing(own, contract)),
    )
    section = InputContractSection(
        contract=contract,
        images=moved.images,
        fp32_moved=float_moved.relative,
        fp32_within=FLOAT_WITHIN,
        int8_moved=moved.relative,
        int8_within=QUANTIZED_WITHIN,
        predictions_changed=moved.predictions_changed,
    )
    return Contracted(changed, save_model(quantized, folder.work / f"candidate-{contract}.onnx"), section)


def _folded_float(context: Prepared) -> tuple[ModelProto, Movement]:
    contract, own, fp32 = context.config.input_contract, context.images.preprocessing, context.model.proto()
    folded = fold_input_contract(fp32, contract, own)
    return folded, check_input_contract(fp32, folded, contract, own, _crops(context), within=FLOAT_WITHIN)


def _crops(context: Prepared) -> NDArray[np.uint8]:
    calibration = context.images.calibration
    return np.asarray(calibration.array[: min(_CHECKED_IMAGES, len(calibration))])
