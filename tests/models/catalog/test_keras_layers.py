from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest

from quantize.models.catalog.keras_layers import keras_model
from quantize.models.session import open_session

CONV = {"activation": "linear", "dilation_rate": [1, 1], "use_bias": False}


def layer(kind: str, name: str, *sources: str, **config: object) -> Mapping[str, Any]:
    inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


def dense(name: str, source: str, units: int, activation: str) -> Mapping[str, Any]:
    return layer("Dense", name, source, units=units, activation=activation, use_bias=True)


def test_a_model_of_all_layers_gives_what_numpy_gives() -> None:
    random = np.random.default_rng(0)
    weights = {
        "c/kernel": random.normal(size=(3, 3, 2, 4)).astype(np.float32),
        "d/depthwise_kernel": random.normal(size=(1, 1, 4, 1)).astype(np.float32),
        "n/gamma": np.array([1, 2, 3, 4], np.float32),
        "n/beta": np.array([0, 1, 0, -1], np.float32),
        "n/moving_mean": np.array([0.5, 0, 0, 0], np.float32),
        "n/moving_variance": np.array([1, 4, 1, 1], np.float32),
        "e/kernel": random.normal(size=(8, 3)).astype(np.float32),
        "e/bias": np.array([0.1, 0.2, 0.3], np.float32),
    }
    layers = [
        layer("InputLayer", "i", batch_input_shape=[None, 4, 4, 2]),
        layer("Conv2D", "c", "i", kernel_size=[3, 3], strides=[2, 2], padding="same", filters=4, **CONV),
        layer("DepthwiseConv2D", "d", "c", kernel_size=[1, 1], strides=[1, 1], padding="same", **CONV),
        layer("BatchNormalization", "n", "d", epsilon=0.0, scale=True),
        layer("ReLU", "r", "n", max_value=6),
        layer("Concatenate", "k", "r", "d", axis=3),
        layer("Add", "a", "k", "k"),
        layer("AveragePooling2D", "p", "a", pool_size=[2, 2], strides=[2, 2], padding="valid"),
        layer("Flatten", "f", "p"),
        layer("Dropout", "o", "f", rate=0.5),
        dense("e", "o", 3, "softmax"),
    ]
    model = keras_model(layers, weights)
    onnx.checker.check_model(model, full_check=True)
    image = random.normal(size=(1, 4, 4, 2)).astype(np.float32)
    (probabilities,) = open_session(model.SerializeToString()).run(None, {"image": image})

    padded = np.pad(image[0], ((0, 1), (0, 1), (0, 0)))  # the odd row of zeros stands behind
    convolved = np.array(
        [
            [
                np.einsum("hwi,hwio->o", padded[2 * y : 2 * y + 3, 2 * x : 2 * x + 3], weights["c/kernel"])
                for x in range(2)
            ]
            for y in range(2)
        ]
    )
    deep = convolved * weights["d/depthwise_kernel"][0, 0, :, 0]
    scaled = (deep - weights["n/moving_mean"]) / np.sqrt(weights["n/moving_variance"])
    normal = np.clip(scaled * weights["n/gamma"] + weights["n/beta"], 0, 6)
    features = 2 * np.concatenate([normal, deep], axis=-1).mean(axis=(0, 1))
    scores = np.exp(features @ weights["e/kernel"] + weights["e/bias"])
    np.testing.assert_allclose(probabilities[0], scores / scores.sum(), rtol=1e-4, atol=1e-6)


def test_a_layer_that_is_not_known_is_refused() -> None:
    layers = [layer("InputLayer", "i", batch_input_shape=[None, 4, 4, 2]), layer("LSTM", "l", "i", units=1)]
    with pytest.raises(ValueError, match="LSTM"):
        keras_model(layers, {})
