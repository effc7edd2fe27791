"""Steps that join tensors or part them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.vocabulary.steps.layers import pointwise, random_conv
from tests.vocabulary.writer import Maps, Writer


def another(write: Writer, x: Maps, earlier: Sequence[Maps], *, channels: bool) -> Maps:
    """Return an earlier tensor that x can be joined with, or one made for that of x."""
    fit = [y for y in earlier if y.side == x.side and y != x and (y.channels == x.channels or not channels)]
    if fit and write.random.integers(4):
        return fit[write.random.integers(len(fit))]
    made = random_conv(write, x, x.channels)
    return write.relu(made) if write.random.integers(2) else made


def add(write: Writer, x: Maps, earlier: Sequence[Maps]) -> Maps:
    op_type = str(write.random.choice(["Add", "Add", "Sub", "Sum"]))
    return write.both(op_type, x, another(write, x, earlier, channels=True))


def multiply(write: Writer, x: Maps, earlier: Sequence[Maps]) -> Maps:
    return write.both("Mul", x, write.on(another(write, x, earlier, channels=True), "Sigmoid"))


def concat(write: Writer, x: Maps, earlier: Sequence[Maps]) -> Maps:
    pieces = [x, another(write, x, earlier, channels=False)]
    if write.random.integers(3) == 0:
        pieces.append(another(write, x, earlier, channels=False))
    joint = write.concat(*pieces)
    return joint if joint.channels <= 32 else pointwise(write, joint, ())


def split(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    if x.channels % 2 or write.opset < 13:
        return x
    half = x.channels // 2
    sizes = write.integers([half, half])
    left, right = (Maps(name, half, x.side) for name in write.split("Split", x.name, sizes, outputs=2, axis=1))
    return write.concat(left, write.relu(random_conv(write, right, half)))


def least_and_most(write: Writer, x: Maps, earlier: Sequence[Maps]) -> Maps:
    op_type = str(write.random.choice(["Max", "Min"]))
    if write.random.integers(2):
        return write.on(x, op_type, write.floats(0.25))
    return write.both(op_type, x, another(write, x, earlier, channels=True))


def beside_a_constant(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    """Join a map of places, for one batch only, or add it."""
    places = write.random.uniform(-1, 1, (1, x.channels, x.side, x.side))
    if write.batch == 1 and write.random.integers(2) and x.channels <= 16:
        return Maps(write.node("Concat", x.name, write.floats(places), axis=1), 2 * x.channels, x.side)
    return write.on(x, "Add", write.floats(places))


def means_of_channels(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    """Spatial attention: the mean and the largest over the channels, a Conv, and a gate."""
    if write.opset >= 18:
        return x
    pieces = [write.node(name, x.name, axes=[1], keepdims=1) for name in ("ReduceMean", "ReduceMax")]
    joint = Maps(write.node("Concat", *pieces, axis=1), 2, x.side)
    return replace(x, name=write.node("Mul", x.name, write.node("Sigmoid", write.conv(joint, 1).name)))


def twice(write: Writer, x: Maps, _: Sequence[Maps]) -> Maps:
    """Read a tensor before and behind its activation, and twice by one node."""
    return write.both("Add", write.both("Add", x, x), write.relu(x))
