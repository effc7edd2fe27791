"""Weights that a file stores by their values other than zero: onnxruntime takes them as dense, onnx refuses them."""

from __future__ import annotations

import math

import numpy as np
from onnx import GraphProto, SparseTensorProto, TensorProto, numpy_helper

from quantize.graph.nodes import replace_all

MOST_ZEROS = 1000
"""Values of a dense tensor for each stored one: what claims more of itself stays as it is, whatever reads it next."""


def store_densely(graph: GraphProto) -> None:
    """Store every sparse initializer of a graph as a dense one of the same name, in place."""
    left = []
    for sparse in graph.sparse_initializer:
        dense = _dense(sparse)
        if dense is None:
            left.append(sparse)
        else:
            graph.initializer.append(dense)
    replace_all(graph.sparse_initializer, left)


def _dense(sparse: SparseTensorProto) -> TensorProto | None:
    values, places = numpy_helper.to_array(sparse.values).ravel(), numpy_helper.to_array(sparse.indices)
    sizes = tuple(sparse.dims)
    count = math.prod(sizes)
    if count > MOST_ZEROS * max(1, values.size):
        return None
    if places.ndim == 2 and places.shape[1] == len(sizes):
        inside = ((places >= 0) & (places < np.array(sizes))).all()
        places = np.ravel_multi_index(tuple(places.T), sizes) if inside else None
    elif places.ndim != 1 or ((places < 0) | (places >= count)).any():
        places = None
    if places is None or places.size != values.size:
        return None
    made = np.zeros(count, values.dtype)
    made[places] = values
    return numpy_helper.from_array(made.reshape(sizes), sparse.values.name)
