"""Where layers compute, decided by recorded times and never by the machine that runs the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from quantize.engines.native.search.latency_model import ProfiledTimes, TimedOp
from quantize.engines.placement.placed_model import placed, placed_nodes, with_placement
from quantize.engines.placement.placement import Option
from quantize.engines.placement.search import PlacementSearch, first_that_passes
from quantize.formats import canonical
from quantize.graph.view import Graph
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval
from tests.engines.native.search.conftest import classifier_graph
from tests.formats.plain_quantizer import quantized

WEIGHTED = ("stem", "left", "right", "last")
Times = Mapping[str, tuple[float, float]]

# Nanoseconds of the same four layers in fp32 and in int8, in the proportions of what was recorded of SqueezeNet.
WITH_VNNI: Times = {"stem": (600, 350), "left": (400, 140), "right": (900, 300), "last": (700, 250)}
WITHOUT: Times = {"stem": (600, 900), "left": (400, 430), "right": (900, 960), "last": (700, 760)}
SLOW_STEM: Times = {"stem": (600, 1500), "left": (400, 200), "right": (900, 450), "last": (700, 350)}


@dataclass
class Recorded:
    """Builds placements and answers from recorded times; a placement's accuracy is given by a function."""

    fp32: ModelProto
    candidate: ModelProto
    times: Times
    folder: Path
    accuracy: Mapping[str, float] = field(default_factory=dict)
    conversion: float = 10.0
    judgements: list[str] = field(default_factory=list)

    def built(self, recipe: Recipe, /) -> ModelArtifact:
        return save_model(placed(self.candidate, self.fp32, recipe), self.folder / f"{recipe.id}.onnx")

    def profile(self, recipe: Recipe, /) -> ProfiledTimes:
        def op(name: str | None, kind: str, ns: float) -> TimedOp:
            return TimedOp.model_validate({"origin": name, "kind": kind, "time_ns": ns})

        return ProfiledTimes(
            baseline=tuple(op(name, "fp32", pair[0]) for name, pair in self.times.items()),
            candidate=(
                *(op(name, "int8", pair[1]) for name, pair in self.times.items()),
                op(None, "conversion", self.conversion),
            ),
        )

    def time_ns(self, recipe: Recipe | None) -> float:
        if recipe is None:
            return sum(pair[0] for pair in self.times.values())
        left = set(WEIGHTED) - set(recipe.float_nodes)
        return sum(pair[name in left] for name, pair in self.times.items()) + (self.conversion if left else 0)

    def ratio(self, before: Recipe | None, after: Recipe, /) -> RatioInterval:
        ratio = self.time_ns(before) / self.time_ns(after)
        return RatioInterval(low=0.99 * ratio, ratio=ratio, high=1.01 * ratio)

    def judged(self, recipe: Recipe, /) -> tuple[float | None, bool]:
        """Every layer in int8 costs what ``accuracy`` says, every layer stored in int8 a tenth of it."""
        left = set(WEIGHTED) - set(recipe.float_nodes)
        lost = sum(self.accuracy.get(name, 0.0) for name in left)
        lost += sum(self.accuracy.get(name, 0.0) / 10 for name in recipe.stored_nodes)
        self.judgements.append(recipe.id)
        return 0.7 - lost, lost <= 0.01

    def sensitivity(self) -> Mapping[str, float]:
        return {name: max(lost, 0.0) for name, lost in self.accuracy.items()}


@pytest.fixture(scope="module")
def fp32() -> ModelProto:
    return classifier_graph()


@pytest.fixture(scope="module")
def candidate(fp32: ModelProto) -> ModelProto:
    images = np.random.default_rng(3).normal(0, 1, (8, 3, 16, 16)).astype(np.float32)
    graph = Graph(canonical(quantized(fp32, images, float_ops=("GlobalAveragePool", "Flatten", "Softmax"))))
    for node in [node for node in graph.nodes if node.op_type in ("Relu", "Clip")]:
        graph.replace_uses(node.output[0], node.input[0])
        graph.remove([node])
    return graph.model()


@pytest.fixture
def bench(fp32: ModelProto, candidate: ModelProto, tmp_path: Path):  # type: ignore[no-untyped-def]
    def made(times: Times, accuracy: Mapping[str, float] | None = None) -> Recorded:
        return Recorded(fp32, candidate, times, tmp_path, accuracy or {})

    return made


def choose(bench: Recorded, **settings: float):  # type: ignore[no-untyped-def]
    return PlacementSearch(bench.fp32, bench.candidate, Recipe(engine="inc"), bench, **settings).chosen()


def test_where_int8_is_faster_everywhere_nothing_changes(bench) -> None:  # type: ignore[no-untyped-def]
    choice = choose(bench(WITH_VNNI))
    assert choice.chosen.kind == "as tuned"
    assert choice.chosen.recipe == Recipe(engine="inc")
    assert [option.kind for option in choice.options] == ["as tuned"]
    assert choice.reason == "no layer measures slower in int8 here"


def test_a_layer_that_is_slower_in_int8_goes_back_to_float_and_its_weights_stay_in_int8(bench) -> None:  # type: ignore[no-untyped-def]
    choice = choose(bench(SLOW_STEM))
    assert choice.chosen.kind == "fastest"
    assert choice.chosen.recipe.stored_nodes == ("stem",)
    assert placed_nodes(choice.chosen.recipe) == ("stem",)
    assert choice.chosen.gain.ratio > 1
    assert choice.chosen.speedup.ratio > choice.options[0].speedup.ratio


def test_where_int8_cannot_win_everything_computes_in_float_on_weights_stored_in_int8(bench) -> None:  # type: ignore[no-untyped-def]
    recorded = bench(WITHOUT)
    choice = choose(recorded)
    assert choice.chosen.kind == "float"
    assert set(choice.chosen.recipe.stored_nodes) == set(WEIGHTED)
    assert set(WEIGHTED) <= set(choice.chosen.recipe.float_nodes)
    assert choice.chosen.speedup.ratio == 1.0
    assert "slower than fp32" in choice.reason
    model = recorded.built(choice.chosen.recipe).proto()
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in model.graph.node}


def test_weights_that_break_the_criterion_stay_in_fp32_the_most_sensitive_first(bench) -> None:  # type: ignore[no-untyped-def]
    choice = choose(bench(WITHOUT, {"stem": 0.08, "right": 0.06, "left": 0.02, "last": 0.02}))
    assert choice.chosen.met
    assert set(choice.chosen.recipe.stored_nodes) == {"left", "right", "last"}


def test_down_to_the_fp32_model_itself(bench, fp32: ModelProto) -> None:  # type: ignore[no-untyped-def]
    recorded = bench(WITHOUT, dict.fromkeys(WEIGHTED, 5.0))
    choice = choose(recorded)
    assert choice.chosen.met
    assert choice.chosen.recipe.stored_nodes == ()
    assert choice.reason.endswith("the model is fp32 itself")
    assert (
        recorded.built(choice.chosen.recipe).graph_sha256 == save_model(fp32, recorded.folder / "x.onnx").graph_sha256
    )


def test_where_the_tuned_model_misses_the_criterion_the_fastest_rung_that_meets_it_is_taken(bench) -> None:  # type: ignore[no-untyped-def]
    choice = choose(bench(WITH_VNNI, {"right": 0.09}))
    assert choice.chosen.kind == "safer"
    assert choice.chosen.met
    assert "right" in choice.chosen.recipe.float_nodes
    assert "last" not in choice.chosen.recipe.float_nodes
    assert choice.chosen.speedup.ratio > 1


def test_where_the_tuned_model_is_slow_and_the_fastest_misses_by_chance_a_rung_between_them_is_taken(bench) -> None:  # type: ignore[no-untyped-def]
    slow = {**SLOW_STEM, "stem": (600, 2500)}
    choice = choose(bench(slow, {"right": 0.012, "stem": -0.005}))
    assert [option.met for option in choice.options[:2]] == [True, False]
    assert choice.options[0].speedup.high < 1
    assert choice.chosen.kind == "safer"
    assert set(WEIGHTED) & set(choice.chosen.recipe.float_nodes) == {"stem", "right"}
    assert choice.chosen.speedup.low > 1


def test_a_model_that_is_no_faster_than_fp32_and_larger_gives_way_to_the_smaller_one(fp32, candidate, bench) -> None:  # type: ignore[no-untyped-def]
    even = {name: (pair[0], pair[0]) for name, pair in WITHOUT.items()}
    recorded = bench(even)
    recorded.conversion = 0.0
    large = placed(candidate, fp32, Recipe(engine="inc", details=(("placed", '["right"]'),)))
    recorded.candidate = large  # as where Neural Compressor left the largest layer in fp32
    choice = choose(recorded)
    assert choice.chosen.kind == "float"
    assert choice.chosen.bytes < choice.options[0].bytes
    recorded.candidate = candidate
    assert choose(recorded, min_speedup=1.5).chosen.kind == "as tuned"


@pytest.mark.parametrize("least", range(1, 12))
def test_the_least_number_that_passes_is_found(least: int) -> None:
    asked: list[int] = []

    def option(number: int) -> Option:
        asked.append(number)
        return Option("float", Recipe(engine="inc"), met=number >= least, bytes=number)

    assert first_that_passes(option, 11).bytes == least
    assert len(asked) == len(set(asked))


def test_if_none_passes_the_last_is_given() -> None:
    option = first_that_passes(lambda number: Option("float", Recipe(engine="inc"), met=False, bytes=number), 5)
    assert (option.met, option.bytes) == (False, 5)


@pytest.mark.parametrize(("lost", "kind"), [(0.0, "smaller"), (0.2, "as tuned")])
def test_weights_that_neural_compressor_left_in_fp32_are_stored_if_the_criterion_holds(
    fp32: ModelProto,
    candidate: ModelProto,
    bench,
    lost: float,
    kind: str,  # type: ignore[no-untyped-def]
) -> None:
    recorded = bench({**WITH_VNNI, "right": (290, 300)}, {"right": lost})
    recorded.candidate = placed(candidate, fp32, with_placement(Recipe(engine="inc"), ["right"], []))
    own = Recipe(engine="inc", float_nodes=("right",))
    choice = PlacementSearch(fp32, recorded.candidate, own, recorded).chosen()
    assert choice.chosen.kind == kind
    assert choice.chosen.recipe.stored_nodes == (("right",) if kind == "smaller" else ())
    assert choice.chosen.bytes == min(option.bytes for option in choice.options if option.met)
