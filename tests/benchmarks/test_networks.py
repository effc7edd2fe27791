from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from networks.layers import batch_norm, conv
from networks.network import Network
from networks.registry import ARCHITECTURES
from numpy.typing import NDArray

from quantize.models.session import open_session


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return _images()


@cache
def _images() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)


@cache
def _made(name: str) -> bytes:
    content: bytes = ARCHITECTURES[name].make(_images()).SerializeToString()
    return content


@pytest.mark.parametrize("name", ["shufflenet_v2", "mobilenet_v3", "vit_tiny", "vit_tiny_opset13"])
def test_a_made_network_runs_at_any_batch_and_gives_scores_of_the_spread_asked_for(
    name: str, images: NDArray[np.float32]
) -> None:
    session = open_session(_made(name))
    (scores,) = session.run(None, {"input": images})
    assert scores.shape == (3, 1000)
    assert (scores - scores.mean(axis=0)).std() == pytest.approx(2.5, rel=0.02)
    (one,) = session.run(None, {"input": images[:1]})
    np.testing.assert_allclose(one, scores[:1], rtol=1e-3, atol=1e-3)


def test_nine_nodes_and_the_operator_normalize_alike(images: NDArray[np.float32]) -> None:
    scores = [open_session(_made(name)).run(None, {"input": images})[0] for name in ("vit_tiny", "vit_tiny_opset13")]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)


def test_the_same_images_give_the_same_bytes(images: NDArray[np.float32]) -> None:
    assert ARCHITECTURES["shufflenet_v2"].make(images).SerializeToString() == _made("shufflenet_v2")


@pytest.mark.parametrize("norm", ["folded", "node"])
def test_what_a_normalization_lets_through_has_its_spread_on_the_images(norm: str, images: NDArray[np.float32]) -> None:
    net = Network(images, opset=13, seed=1)
    made = conv(net, net.input, "conv1", 64, 3, norm=norm, norm_name="bn1")  # type: ignore[arg-type]
    deviations = np.asarray(made.values, np.float32).std(axis=(0, 2, 3))
    assert np.median(deviations) == pytest.approx(1, abs=0.15)
    assert (deviations > 0.3).all()
    expected = ["Conv"] if norm == "folded" else ["Conv", "BatchNormalization"]
    assert [node.op_type for node in net.model(made).graph.node] == expected


def test_a_channel_that_is_dead_on_the_images_does_not_explode_on_others(images: NDArray[np.float32]) -> None:
    dead = images.copy()
    dead[:, 0] = 0
    net = Network(dead, opset=13, seed=1)
    normalized = batch_norm(net, net.input, "bn1")
    session = open_session(net.model(normalized).SerializeToString())
    assert np.abs(session.run(None, {"input": images})[0]).max() < 100
