"""Which weights of layers that compute in fp32 are stored in int8."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from quantize.engines.native.search.weight_storage import WeightStorage, weight_storage, with_placement
from quantize.recipe import Recipe
from tests.engines.native.search.conftest import classifier_graph

LAYERS = [f"layer{index}" for index in range(6)]
STORAGES = st.builds(
    WeightStorage,
    st.fixed_dictionaries({name: st.integers(1, 10_000) for name in LAYERS}),
    st.fixed_dictionaries({name: st.floats(0, 1) for name in LAYERS}),
)


@given(STORAGES, st.frozensets(st.sampled_from([*LAYERS, "pool"])))
def test_each_choice_stores_one_layer_less_down_to_none(storage, float_ops):
    choices = storage.choices(float_ops)
    assert choices[0] <= float_ops - {"pool"}
    assert choices[-1] == frozenset()
    for more, less in itertools.pairwise(choices):
        assert less < more
        (kept,) = more - less
        assert storage.sensitivity[kept] == max(storage.sensitivity[name] for name in more)


@given(STORAGES)
def test_what_the_smallest_choice_keeps_in_fp32_adds_no_more_than_a_hundredth(storage):
    first = storage.choices(frozenset(LAYERS))[0]
    added = sum(3 * storage.elements[name] for name in LAYERS if name not in first)
    assert added <= 0.01 * sum(storage.elements.values())


def test_what_the_configuration_keeps_in_fp32_is_never_stored():
    graph = classifier_graph()
    kept = Recipe(engine="native", float_nodes=("stem",))
    assert set(weight_storage(graph, kept, {}).elements) == {"left", "right", "last"}
    assert weight_storage(graph, kept.but(float_op_types=("Conv",)), {}).elements == {}
    assert weight_storage(graph, Recipe(engine="native"), {}).elements["stem"] == 8 * 3 * 3 * 3


def test_a_layer_in_fp32_has_no_weights_of_uint8():
    recipe = with_placement(Recipe(engine="native"), frozenset({"a", "b"}), frozenset({"a"}), frozenset({"b", "c"}))
    assert recipe.float_nodes == ("a", "b")
    assert recipe.stored_nodes == ("a",)
    assert recipe.uint8_nodes == ("c",)
