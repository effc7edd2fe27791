from __future__ import annotations

import pytest

from quantize.graph.regions import regions
from quantize.graph.view import Graph
from tests.small_blocks import ACTIVATIONS, Net, activated, convnext, squeezed, transformer


def found(model):
    return regions(Graph(model))


def kinds(model):
    return [region.kind for region in found(model)]


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation_of_several_nodes_is_one_function_of_the_conv_before(kind):
    model = activated(kind)
    convs = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    assert [(region.kind, region.source) for region in found(model)] == [("function", name) for name in convs[:2]]
    readers = {
        name for node in model.graph.node if node.op_type in ("Conv", "GlobalAveragePool") for name in node.input
    }
    assert all(region.output in readers for region in found(model))


def test_a_relu_alone_and_a_gate_that_multiplies_another_tensor_are_none():
    assert found(activated("relu")) == ()
    assert kinds(squeezed()) == ["function", "function"]


def test_what_is_read_elsewhere_too_is_not_inside():
    net = Net()
    x = net.conv("x", 3, 8)
    gate = net.op("Sigmoid", x)
    model = net.pooled(net.op("Add", net.op("Mul", x, gate), net.conv(gate, 8, 8, 1)), 8)
    assert found(model) == ()


def test_a_function_is_the_same_for_all_channels():
    net = Net()
    x = net.op("Sigmoid", net.op("Mul", net.conv("x", 3, 8), net.normal(8, 1, 1)))
    assert found(net.pooled(x, 8)) == ()


def test_a_relu_before_a_function_stays_with_the_conv_that_it_follows():
    net = Net()
    x = net.op("Relu", net.conv("x", 3, 8))
    model = net.pooled(net.activation(x, "silu"), 8)
    assert [region.source for region in found(model)] == [x]


def test_a_normalization_of_nine_nodes_is_one_region_and_one_of_one_node_none():
    assert kinds(transformer(13)).count("normalization") == 5
    assert kinds(transformer(17)).count("normalization") == 0
    largest = max(len(region.nodes) for region in found(transformer(13)) if region.kind == "normalization")
    assert largest == 9


def test_a_matmul_and_the_add_of_its_bias_belong_together():
    for model, products in ((transformer(), 12), (convnext(), 4)):
        biased = [region for region in found(model) if region.kind == "biased product"]
        assert len(biased) == products
        assert all([node.op_type for node in region.nodes] == ["MatMul", "Add"] for region in biased)
        assert all(region.float_nodes == (region.nodes[1].name,) for region in biased)


def test_no_node_is_in_two_regions():
    for model in (transformer(13), convnext(13), squeezed()):
        names = [node.name for region in found(model) for node in region.nodes]
        assert len(names) == len(set(names))
