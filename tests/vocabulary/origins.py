"""Which of the products that run in a written file are not led back to the fp32 model's."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto

from quantize.graph.cleaning import name_nodes
from quantize.measurement.operators.origins import find_origins, is_product, weight_shapes
from quantize.measurement.operators.trace import NodeTrace
from tests.formats.small_graphs import open_session


def unknown_products(fp32: ModelProto, written: ModelProto, folder: Path) -> list[str]:
    """Return the names of products, as onnxruntime runs them, of which it is not known what they compute."""
    file = folder / "runs.onnx"
    open_session(written, optimized=str(file), exact=False)
    runs = onnx.load(file)
    name_nodes(fp32.graph.node)
    nodes = [NodeTrace(node.name, node.op_type, (), (), (1,)) for node in runs.graph.node]
    origins = find_origins(fp32, nodes, weight_shapes(runs))
    return [
        node.name for node, origin in zip(nodes, origins, strict=True) if origin is None and is_product(node.op_type)
    ]
