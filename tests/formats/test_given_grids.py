from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats.given_grids import as_type, grids_of, with_grids, without_quantization
from quantize.formats.parameters import add_dequantize, add_quantize, new_parameters
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.models.session import open_session

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)


def network(*activations: str, zero_point: int = 0, whole: bool = True) -> ModelProto:
    """Return Conv, some activations, a pair on uint8, and a Conv whose weights are quantized if it is to be whole."""
    noise = np.random.default_rng(1)
    names = ["c", *(f"a{number}" for number in range(len(activations)))]
    nodes = [helper.make_node("Conv", ["x", "w1"], ["c"], name="first")]
    nodes += [
        helper.make_node(op_type, [source], [result], name=result)
        for op_type, source, result in zip(activations, names, names[1:], strict=False)
    ]
    nodes.append(helper.make_node("Conv", [names[-1], "w2"], ["y"], name="second"))
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 2, 4, 4])],
        [
            numpy_helper.from_array(noise.standard_normal((4, 3, 3, 3)).astype(np.float32), "w1"),
            numpy_helper.from_array(noise.standard_normal((2, 4, 1, 1)).astype(np.float32), "w2"),
        ],
    )
    view = Graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8))
    by = new_parameters(view, "pair", 0.05, np.array(zero_point, np.uint8), None)
    add_quantize(view, names[-1], by, "integers")
    second = view.node("second")
    assert second is not None
    view.set_input(second, 0, add_dequantize(view, "integers", by))
    for layer in ("first", "second") if whole else ():
        node = view.node(layer)
        assert node is not None
        weight = view.constant(node.input[1])
        assert weight is not None
        scale = (np.abs(weight).max(axis=(1, 2, 3)) / 127).astype(np.float32)
        of_weight = new_parameters(view, layer, scale, np.zeros(len(scale), np.int8), 0)
        view.set_input(node, 1, add_dequantize(view, view.add_constant("q", of_weight.quantize(weight)), of_weight))
    return view.model()


def run(model: ModelProto) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    (y,) = open_session(model.SerializeToString(), optimization="none").run(None, {"x": IMAGES})
    return np.asarray(y)


@pytest.mark.parametrize("activations", [("Relu",), (), ("Sigmoid",), ("Relu", "Relu")])
def test_pairs_and_integer_weights_become_what_they_stand_for(activations: tuple[str, ...]) -> None:
    model = network(*activations)

    undone = without_quantization(model)

    types = [node.op_type for node in undone.model.graph.node]
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(types)
    assert types == ["Conv", *(activations or ["Clip"]), "Conv"]
    assert (undone.activations, undone.weights, undone.whole) == (1, 2, True)
    # Half a step of the grid, through four weights of about 1.
    np.testing.assert_allclose(run(undone.model), run(model), atol=0.05 / 2 * 8)


@pytest.mark.parametrize("moved", [False, True])
def test_the_pixels_of_the_models_input_are_given_no_bounds(moved: bool) -> None:
    view = Graph(network(whole=False))
    pixels = view.add("Transpose", ["x"], ["moved"], perm=[0, 1, 3, 2]).output[0] if moved else "x"
    by = new_parameters(view, "of pixels", 1 / 255, np.array(0, np.uint8), None)
    add_quantize(view, pixels, by, "input integers")
    first = view.node("first")
    assert first is not None
    view.set_input(first, 0, add_dequantize(view, "input integers", by))

    undone = without_quantization(view.model())

    assert undone.activations == 2
    assert [node.op_type for node in undone.model.graph.node] == ["Transpose"] * moved + ["Conv", "Clip", "Conv"]


def test_of_a_grid_with_both_signs_no_bounds_are_left() -> None:
    undone = without_quantization(network(zero_point=128))

    assert [node.op_type for node in undone.model.graph.node] == ["Conv", "Conv"]


def test_a_layer_with_float_weights_makes_the_model_quantized_in_places() -> None:
    undone = without_quantization(network("Relu", whole=False))

    assert not undone.whole
    assert list(undone.grids) == ["a0"]
    assert float(undone.grids["a0"].scale) == np.float32(0.05)


def test_what_is_remembered_comes_back_bit_for_bit_and_can_be_forgotten() -> None:
    undone = without_quantization(network("Relu"))
    said = with_grids(undone.model, undone.grids)

    again = grids_of(said)

    assert set(again) == set(undone.grids)
    assert all(again[name].same_as(grid) for name, grid in undone.grids.items())
    assert grids_of(with_grids(said, {})) == {}
    assert grids_of(undone.model) == {}


def test_a_grid_of_int8_is_the_same_numbers_in_uint8() -> None:
    grid = Grid(np.float32(0.5), np.array(-128, np.int8))

    moved = as_type(grid, "uint8")

    assert (moved.low, moved.high) == (grid.low, grid.high)
    assert as_type(moved, "int8").same_as(grid)
    assert as_type(grid, "int8") is grid
