"""A run whose models take another input than the fp32 model that was given: raw pixels, for example."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize.api.context import Context
from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.models.artifact import ModelArtifact, save_model
from quantize.rewrites.channel_affine import InputContract
from quantize.rewrites.input_contract import check_input_contract, fold_input_contract

_CHECKED_IMAGES = 32


def contract_preprocessing(preprocessing: Preprocessing, contract: InputContract) -> Preprocessing:
    """Return how a model with an input contract is fed: the same crops, normalized as the contract says, or not."""
    if contract == "as-is":
        return preprocessing
    if contract == "imagenet":
        like = PRESETS["imagenet"]
        parts = {"scale": like.scale, "mean": like.mean, "std": like.std}
    else:
        parts = {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return preprocessing.model_copy(update={**parts, "channel_order": "RGB", "preset": None})


def contracted(context: Context, candidate: ModelArtifact) -> tuple[Context, ModelArtifact]:
    """Return the run and its candidate with the input that was asked for; the fp32 model gets it too.

    Raises:
        ModelError: The first Conv cannot take the normalization in, or the scores move by more than rounding.
    """
    contract = context.config.input_contract
    if contract == "as-is":
        return context, candidate
    images = context.images
    own = images.preprocessing
    fp32, int8 = context.model.proto(), candidate.proto()
    work = context.folder.work
    crops = np.asarray(images.evaluation.array[: min(_CHECKED_IMAGES, len(images.evaluation))])
    folded = fold_input_contract(fp32, contract, own)
    check_input_contract(fp32, folded, contract, own, crops)
    quantized = fold_input_contract(int8, contract, own, reference=fp32)
    check_input_contract(int8, quantized, contract, own, crops)
    changed = replace(
        context,
        model=save_model(folded, work / f"fp32-{contract}.onnx"),
        images=replace(images, preprocessing=contract_preprocessing(own, contract)),
    )
    return changed, save_model(quantized, work / f"candidate-{contract}.onnx")
