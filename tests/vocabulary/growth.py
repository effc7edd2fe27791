"""Random networks: a plan that tells all of one, and the model that grows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto

from tests.vocabulary.recipes import RECIPES
from tests.vocabulary.steps.registry import STEPS
from tests.vocabulary.writer import CLASSES, Maps, Writer

NAMES = tuple(STEPS)
SIDES = (8, 12, 16)
OPSETS = (13, 9, 11, 12, 15, 17)


@dataclass(frozen=True)
class Planned:
    """One step.

    Attributes:
        name: In ``STEPS``.
        back: How many tensors before the last one it begins at.
        seed: Of its weights and choices.
    """

    name: str
    back: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """All of a network; its text makes the same network again.

    Attributes:
        steps: From the image on.
        head: Name in ``HEADS``.
        softmax: Whether it ends in probabilities.
        side: Height and width of images.
        batch: What the input declares.
        opset: Of the model.
        recipe: Name of a recipe of the native engine.
    """

    steps: tuple[Planned, ...]
    head: str = "gemm"
    softmax: bool = False
    side: int = 8
    batch: int | str = "N"
    opset: int = 13
    recipe: str = "plain"

    def model(self) -> ModelProto:
        """Return the network."""
        write = Writer(side=self.side, batch=self.batch, opset=self.opset)
        made: list[Maps] = [write.image]
        for planned in self.steps:
            write.random = np.random.default_rng(planned.seed)
            start = made[max(len(made) - 1 - planned.back, 0)]
            grown = STEPS[planned.name](write, start, made)
            if grown not in made:
                made.append(grown)
        scores = HEADS[self.head](write, made[-1])
        if self.softmax:
            scores = write.node("Softmax", scores, axis=1)
        return write.model(scores)

    def smaller(self) -> list[Plan]:
        """Return plans that are one step towards the simplest, the most daring first."""
        half = len(self.steps) // 2
        parts = [self.steps[half:], self.steps[:half]] if half else []
        parts += [self.steps[:at] + self.steps[at + 1 :] for at in range(len(self.steps))]
        parts += [
            (*self.steps[:at], replace(step, back=0), *self.steps[at + 1 :])
            for at, step in enumerate(self.steps)
            if step.back
        ]
        plain = {"head": "gemm", "softmax": False, "side": 8, "batch": "N", "opset": 13, "recipe": "plain"}
        fields = [replace(self, **{name: value}) for name, value in plain.items() if getattr(self, name) != value]
        return [replace(self, steps=part) for part in parts] + fields


def random_plan(seed: int) -> Plan:
    """Return a plan, the same for the same seed."""
    random = np.random.default_rng(seed)
    planned = tuple(
        Planned(str(random.choice(NAMES)), int(random.choice([0, 0, 0, 0, 1, 2])), int(random.integers(2**16)))
        for _ in range(random.integers(1, 9))
    )
    return Plan(
        planned,
        head=str(random.choice(list(HEADS))),
        softmax=bool(random.integers(2)),
        side=int(random.choice(SIDES)),
        batch=("N", 1, 2)[random.choice([0, 0, 1, 2])],
        opset=int(random.choice(OPSETS)),
        recipe="plain" if random.integers(2) else str(random.choice(list(RECIPES))),
    )


def simplest(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Return the simplest plan that still fails, by giving up one thing after the other."""
    while (simpler := next(filter(fails, plan.smaller()), None)) is not None:
        plan = simpler
    return plan


def _gemm(write: Writer, x: Maps) -> str:
    return write.head(x)


def _wide(write: Writer, x: Maps) -> str:
    return write.dense(write.node("Flatten", x.name, axis=1), x.channels * x.side * x.side)


def _hidden(write: Writer, x: Maps) -> str:
    return write.dense(write.node("Relu", write.dense(write.features(x), x.channels, 12)), 12)


def _matmul(write: Writer, x: Maps) -> str:
    means = write.node("Flatten", write.node("GlobalAveragePool", x.name))
    product = write.node("MatMul", means, write.floats(write.weights(CLASSES, x.channels).T))
    return write.node("Add", product, write.floats(write.bias(CLASSES)))


def _row(write: Writer, x: Maps) -> str:
    weights, bias = write.weights(CLASSES, x.channels), write.bias(CLASSES)[None]
    return write.node("Gemm", write.features(x), write.floats(weights.T), write.floats(bias), alpha=0.5, beta=2.0)


def _conv(write: Writer, x: Maps) -> str:
    return write.features(write.relu(write.conv(x, CLASSES, kernel=1)))


HEADS = {"gemm": _gemm, "wide": _wide, "hidden": _hidden, "matmul": _matmul, "row": _row, "conv": _conv}
"""What makes scores of the last tensor."""
