"""ViT-Tiny (Dosovitskiy et al. 2020, arXiv:2010.11929; Touvron et al. 2020, arXiv:2012.12877), as timm exports it."""

from __future__ import annotations

import numpy as np

from networks.layers import conv, linear
from networks.network import Network, Tensor
from networks.token_layers import dense, gelu, layer_norm

_WIDTH, _HEADS, _DEPTH, _PATCH = 192, 3, 12, 16


def vit_tiny(net: Network) -> Tensor:
    """Add ViT-Tiny of 16x16 patches; below opset 17 a LayerNormalization is nine nodes."""
    patches = conv(net, net.input, "patch_embed.proj", _WIDTH, _PATCH, norm="bias", stride=_PATCH, pads=(0, 0))
    count = int(np.prod(patches.values.shape[2:]))
    flat = net.add("Reshape", "patch_embed", patches, np.array([0, _WIDTH, count]))
    x = net.add("Transpose", "patch_embed", flat, perm=[0, 2, 1])
    x = net.add("Concat", "", _class_token(net, x), x, axis=1)
    places = net.shifts((count + 1) * _WIDTH, 0.4).reshape(1, count + 1, _WIDTH)
    x = net.add("Add", "", x, places)
    for number in range(_DEPTH):
        x = _block(net, x, f"blocks.{number}", count + 1)
    first = net.add("Gather", "", layer_norm(net, x, "norm"), np.array(0), axis=1)
    return linear(net, first, "head", 1000)


def _class_token(net: Network, x: Tensor) -> Tensor:
    """Add a token that is the same for every image, as many times as there are images."""
    batch = net.add("Gather", "", net.add("Shape", "", x), np.array([0]), axis=0)
    shape = net.add("Concat", "", batch, np.array([1, _WIDTH]), axis=0)
    return net.add("Expand", "", net.shifts(_WIDTH, 1.0).reshape(1, 1, _WIDTH), shape)


def _block(net: Network, x: Tensor, name: str, tokens: int) -> Tensor:
    attended = _attention(net, layer_norm(net, x, f"{name}.norm1"), f"{name}.attn", tokens)
    x = net.add("Add", name, x, attended)
    inside = gelu(
        net, dense(net, layer_norm(net, x, f"{name}.norm2"), f"{name}.mlp.fc1", 4 * _WIDTH), f"{name}.mlp.act"
    )
    return net.add("Add", name, x, dense(net, inside, f"{name}.mlp.fc2", _WIDTH, spread=0.4))


def _attention(net: Network, x: Tensor, name: str, tokens: int) -> Tensor:
    size = _WIDTH // _HEADS
    packed = dense(net, x, f"{name}.qkv", 3 * _WIDTH)
    packed = net.add("Reshape", name, packed, np.array([-1, tokens, 3, _HEADS, size]))
    packed = net.add("Transpose", name, packed, perm=[2, 0, 3, 1, 4])
    query, key, value = (net.add("Gather", name, packed, np.array(at), axis=0) for at in range(3))
    query = net.add("Mul", name, query, np.array(size**-0.5, np.float32))
    scores = net.add("MatMul", name, query, net.add("Transpose", name, key, perm=[0, 1, 3, 2]))
    shares = net.add("Softmax", name, scores, axis=-1)
    mixed = net.add("Transpose", name, net.add("MatMul", name, shares, value), perm=[0, 2, 1, 3])
    mixed = net.add("Reshape", name, mixed, np.array([-1, tokens, _WIDTH]))
    return dense(net, mixed, f"{name}.proj", _WIDTH, spread=0.4)
