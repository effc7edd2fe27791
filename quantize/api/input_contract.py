"""A run whose models take another input than the fp32 model that was given: raw pixels, for example."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from quantize.api.context import Context
from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.models.artifact import ModelArtifact, save_model
from quantize.report.input_contract import InputContractSection
from quantize.rewrites.channel_affine import InputContract
from quantize.rewrites.input_contract import FLOAT_WITHIN, QUANTIZED_WITHIN, check_input_contract, fold_input_contract

_CHECKED_IMAGES = 32


@dataclass(frozen=True)
class Contracted:
    """A run after its models' input is decided.

    Attributes:
        context: The run; its model and preprocessing are those of the input that was asked for.
        candidate: The quantized model with that input.
        section: What the report says of it; None where the input stays as it is.
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


def contracted(context: Context, candidate: ModelArtifact) -> Contracted:
    """Return the run and its candidate with the input that was asked for; the fp32 model gets it too.

    Raises:
        ModelError: The first Conv cannot take the normalization in, or the scores move by more than rounding.
    """
    contract = context.config.input_contract
    if contract == "as-is":
        return Contracted(context, candidate, None)
    images, folder = context.images, context.folder
    own = images.preprocessing
    fp32, int8 = context.model.proto(), candidate.proto()
    crops = np.asarray(images.evaluation.array[: min(_CHECKED_IMAGES, len(images.evaluation))])
    folded = fold_input_contract(fp32, contract, own)
    float_moved = check_input_contract(fp32, folded, contract, own, crops, within=FLOAT_WITHIN)
    quantized = fold_input_contract(int8, contract, own, reference=fp32)
    moved = check_input_contract(int8, quantized, contract, own, crops)
    changed = replace(
        context,
        model=save_model(folded, folder.fp32 or folder.work / f"fp32-{contract}.onnx"),
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
