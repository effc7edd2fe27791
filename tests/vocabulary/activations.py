"""Kinds of activations, alone and in a row."""

from __future__ import annotations

from onnx import ModelProto

from tests.vocabulary.writer import Maps, Writer


def two_in_a_row() -> ModelProto:
    """Clip and then Relu; Relu and then a narrower Clip."""
    write = Writer()
    x = write.relu(write.clip(write.conv(write.image, 16, stride=2), 0, 6))
    x = write.clip(write.relu(write.conv(x, 16)), 0.25, 1)
    return write.model(write.head(x))


def odd_bounds() -> ModelProto:
    """Clips that zero is not in or not at the edge of, or with one bound."""
    write = Writer()
    x = write.stem()
    for low, high in ((-1.0, 1.0), (0.5, 3.0), (-2.0, -0.25), (None, 1.5), (-0.5, None)):
        x = write.clip(write.conv(x, 16), low, high)
    return write.model(write.head(x))


def leaky() -> ModelProto:
    """LeakyRelu, PRelu with a slope a channel, Elu, Selu and Softplus."""
    write = Writer()
    x = write.on(write.conv(write.image, 16, stride=2), "LeakyRelu", alpha=0.1)
    x = write.on(write.conv(x, 16), "PRelu", write.floats(abs(write.bias(16)).reshape(16, 1, 1)))
    for name in ("Elu", "Selu", "Softplus"):
        x = write.on(write.conv(x, 16), name)
    return write.model(write.head(x))


def hard_swish(write: Writer, x: Maps) -> Maps:
    """Return x * Clip(x + 3, 0, 6) / 6, as TensorFlow and older PyTorch export it."""
    gate = write.clip(write.on(x, "Add", write.floats(3)), 0, 6)
    return write.on(write.both("Mul", x, gate), "Div", write.floats(6))


def silu(write: Writer, x: Maps) -> Maps:
    """Return x * Sigmoid(x)."""
    return write.both("Mul", x, write.on(x, "Sigmoid"))


def hard_swishes() -> ModelProto:
    """MobileNetV3: HardSwish in four forms."""
    write = Writer()
    x = hard_swish(write, write.conv(write.image, 16, stride=2))
    x = write.on(write.conv(x, 16), "HardSwish")
    x = write.conv(x, 16)
    x = write.both("Mul", x, write.on(x, "HardSigmoid", alpha=1 / 6, beta=0.5))
    x = write.conv(x, 16)
    gate = write.on(write.clip(write.on(x, "Add", write.floats(3)), 0, 6), "Mul", write.floats(1 / 6))
    return write.model(write.head(write.both("Mul", x, gate)))


def gelus() -> ModelProto:
    """Gelu by Erf, by Tanh and, at opset 20, as an operator."""
    write = Writer(opset=20)
    x = write.conv(write.image, 16, stride=2)
    erf = write.on(write.on(write.on(x, "Div", write.floats(2**0.5)), "Erf"), "Add", write.floats(1))
    x = write.on(write.both("Mul", x, erf), "Mul", write.floats(0.5))
    x = write.conv(x, 16)
    cube = write.on(write.on(x, "Pow", write.floats(3)), "Mul", write.floats(0.044715))
    tanh = write.on(write.on(write.both("Add", x, cube), "Mul", write.floats(0.7978845608)), "Tanh")
    x = write.on(write.both("Mul", x, write.on(tanh, "Add", write.floats(1))), "Mul", write.floats(0.5))
    return write.model(write.head(write.on(write.conv(x, 16), "Gelu")))


def silu_block(*, squeeze: str = "ReduceMean") -> ModelProto:
    """EfficientNet of PyTorch: SiLU, depthwise Conv, squeeze-and-excitation whose squeeze is ReduceMean."""
    write = Writer()
    x = silu(write, write.conv(write.image, 16, stride=2))
    x = silu(write, write.conv(x, 16, group=16))
    if squeeze == "ReduceMean":
        means = Maps(write.node("ReduceMean", x.name, axes=[2, 3], keepdims=1), 16, 1)
    else:
        means = Maps(write.node(squeeze, x.name), 16, 1)
    gate = silu(write, write.conv(means, 4, kernel=1))
    gate = write.on(write.conv(gate, 16, kernel=1), "Sigmoid")
    x = write.conv(write.both("Mul", x, gate), 24, kernel=1)
    return write.model(write.head(x))
