"""Which layers of SqueezeNet go back to float on the CPUs that its profiles were recorded on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.search.assignment import Costs
from quantize.engines.native.search.latency_model import ProfiledTimes, latency_model
from quantize.engines.native.search.op_graph import op_graph
from quantize.engines.placement.placed_model import int8_nodes, placed, placed_nodes
from quantize.engines.placement.placement import Placement
from quantize.engines.placement.search import PlacementSearch
from quantize.formats import canonical
from quantize.measurement.operators.operator_times import Profile
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.prepare import prepare
from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval
from tests.formats.plain_quantizer import quantized

pytestmark = pytest.mark.real

PROFILES = Path(__file__).parents[2] / "measurement" / "operators" / "profiles"
INC = Recipe(engine="inc")


@dataclass
class Recorded:
    """Answers from one recorded profile, with the ratio of two placements taken from their predicted times."""

    fp32: ModelProto
    candidate: ModelProto
    times: ProfiledTimes
    folder: Path

    def built(self, recipe: Recipe, /) -> ModelArtifact:
        return save_model(placed(self.candidate, self.fp32, recipe), self.folder / f"{recipe.id}.onnx")

    def profile(self, _: Recipe, /) -> ProfiledTimes:
        return self.times

    def ratio(self, before: Recipe | None, after: Recipe, /) -> RatioInterval:
        ratio = self._time_ns(before) / self._time_ns(after)
        return RatioInterval(0.99 * ratio, ratio, 1.01 * ratio)

    def judged(self, _: Recipe, /) -> tuple[float | None, bool]:
        return None, True

    def sensitivity(self) -> Mapping[str, float]:
        raise AssertionError("nothing misses a criterion here")

    def _time_ns(self, recipe: Recipe | None) -> float:
        graph = op_graph(self.fp32, op_types_of(Recipe(engine="native")))
        ops = frozenset(op.name for op in graph.ops)
        left = frozenset() if recipe is None else int8_nodes(self.candidate, self.fp32) - set(recipe.float_nodes)
        costs = Costs(graph, latency_model(self.times, graph), {}, {})
        return costs.time_ns(ops - left)


@pytest.fixture(scope="module")
def models(squeezenet: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelProto, ModelProto]:
    fp32 = prepare(squeezenet, tmp_path_factory.mktemp("fp32") / "fp32.onnx", opset=13).proto()
    images = np.random.default_rng(0).normal(0, 40, (1, 3, 224, 224)).astype(np.float32)
    return fp32, canonical(quantized(fp32, images, float_ops=("GlobalAveragePool", "Softmax")))


def chosen(models: tuple[ModelProto, ModelProto], name: str, folder: Path) -> tuple[Placement, Profile]:
    profile = Profile.model_validate_json((PROFILES / f"{name}.json").read_text())
    bench = Recorded(*models, ProfiledTimes.of(profile), folder)
    return PlacementSearch(*models, INC, bench).chosen(), profile


@pytest.mark.parametrize("name", ["squeezenet_vnni", "squeezenet_avx2"])
def test_most_layers_that_gain_in_int8_stay_there_and_the_first_that_loses_goes_back(
    models: tuple[ModelProto, ModelProto], tmp_path: Path, name: str
) -> None:
    choice, profile = chosen(models, name, tmp_path)
    assert choice.chosen.kind == "fastest"
    assert choice.chosen.gain is not None
    assert choice.chosen.gain.low > 1
    back = set(placed_nodes(choice.chosen.recipe) or ())
    assert "conv1" in back
    in_fp32 = {op.origin: op.time_ns for op in profile.baseline.operators}
    in_int8 = {op.origin: op.time_ns for op in profile.candidate.operators if op.kind == "int8"}
    gaining = {origin for origin in in_int8 if origin in in_fp32 and in_int8[origin] < in_fp32[origin] / 2}
    # What stands between such a layer and the scores, or the pool, may cost more to convert than it gains.
    assert len(gaining - back) > 2 * len(gaining & back)
    assert in_int8["conv1"] > in_fp32["conv1"]


def test_a_pool_that_is_slow_on_integers_goes_back(models: tuple[ModelProto, ModelProto], tmp_path: Path) -> None:
    choice, profile = chosen(models, "squeezenet_float_stem_avx2", tmp_path)
    slow = max(profile.candidate.operators, key=lambda op: op.time_ns)
    assert slow.origin == "pool1"
    assert "pool1" in set(placed_nodes(choice.chosen.recipe) or ())
    assert choice.chosen.speedup is not None
    assert choice.chosen.speedup.ratio >= 1
