"""The multiply-adds of convolutions and matrix products, from the sizes of their tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import NodeProto

from quantize.graph.nodes import DEFAULT_DOMAIN, MICROSOFT, attribute, operator_of


@dataclass(frozen=True)
class ProductForm:
    """How the inputs of an operator that multiplies stand.

    Attributes:
        kind: ``Conv``, ``ConvTranspose``, ``Gemm`` or ``MatMul``: whose sizes count how.
        data: Position of the activation among the inputs.
        weight: Position of the weights.
        on_integers: It multiplies integers, whatever stands around it.
    """

    kind: str
    data: int = 0
    weight: int = 1
    on_integers: bool = False


_FORMS: Mapping[tuple[str, str], ProductForm] = {
    **{(DEFAULT_DOMAIN, name): ProductForm(name) for name in ("Conv", "ConvTranspose", "Gemm", "MatMul")},
    **{(MICROSOFT, f"Fused{name}"): ProductForm(name) for name in ("Conv", "Gemm", "MatMul")},
    (DEFAULT_DOMAIN, "ConvInteger"): ProductForm("Conv", on_integers=True),
    (DEFAULT_DOMAIN, "MatMulInteger"): ProductForm("MatMul", on_integers=True),
    (MICROSOFT, "MatMulIntegerToFloat"): ProductForm("MatMul", on_integers=True),
    (MICROSOFT, "DynamicQuantizeMatMul"): ProductForm("MatMul", on_integers=True),
    (DEFAULT_DOMAIN, "QLinearConv"): ProductForm("Conv", weight=3, on_integers=True),
    (MICROSOFT, "QLinearConv"): ProductForm("Conv", weight=3, on_integers=True),
    (DEFAULT_DOMAIN, "QLinearMatMul"): ProductForm("MatMul", weight=3, on_integers=True),
    (MICROSOFT, "QGemm"): ProductForm("Gemm", weight=3, on_integers=True),
}


_KINDS = {op_type: form.kind for (_, op_type), form in _FORMS.items()}


def product_kind(op_type: str) -> str | None:
    """Return whose sizes an operator has, of whatever domain, or None if it is no convolution or matrix product."""
    return _KINDS.get(op_type)


def product_form(node: NodeProto) -> ProductForm | None:
    """Return how an operator multiplies, or None if it is no convolution or matrix product."""
    return _FORMS.get(operator_of(node))


def multiply_adds(node: NodeProto, form: ProductForm, sizes: Mapping[str, Sequence[int]]) -> int | None:
    """Return the multiply-adds of a node on everything that it is given, or None if its sizes are not known.

    Args:
        node: The node.
        form: How it multiplies.
        sizes: By tensor.
    """
    if len(node.input) <= max(form.data, form.weight):
        return None
    data, weight = (sizes.get(node.input[at]) for at in (form.data, form.weight))
    result = sizes.get(node.output[0])
    if weight is None or (data if form.kind == "ConvTranspose" else result) is None:
        return None
    if form.kind == "ConvTranspose":
        assert data is not None
        return data[0] * math.prod(data[2:]) * math.prod(weight)
    assert result is not None
    if form.kind == "Conv":
        return result[0] * math.prod(result[2:]) * math.prod(weight)
    if form.kind == "Gemm":
        return math.prod(result) * weight[1 if attribute(node, "transB", 0) else 0]
    return math.prod(result) * weight[-2 if len(weight) > 1 else 0]
