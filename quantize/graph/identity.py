"""The identity of a model: the hash of its graph and the hash of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def graph_sha256(model: ModelProto) -> str:
    """Return the SHA-256 of a model's deterministic serialization without its ``metadata_props``.

    Metadata written into a file afterwards changes its ``sha256`` but not this hash, so that figures measured before
    still belong to it. Weights in external files have to be loaded into the model first to count.
    """
    bare = model
    if model.metadata_props:
        bare = ModelProto()
        bare.CopyFrom(model)
        bare.ClearField("metadata_props")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def weights_sha256(model: ModelProto) -> str:
    """Return a SHA-256 over the values of a float model's weights, whatever its opset, names and node order.

    Weights are the floating-point constants (initializers, and values of Constant nodes) of more than one element:
    single values are parameters of operators (bounds of a Clip, ratio of a Dropout), which move between attributes and
    inputs with the opset. Each is hashed with its type and its shape without dimensions of 1; the hashes are sorted.
    """
    digests = sorted(_tensor_digest(tensor) for tensor in _constants(model.graph))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _constants(graph: GraphProto) -> Iterator[TensorProto]:
    tensors = list(graph.initializer)
    tensors += [
        entry.t
        for node in graph.node
        if node.op_type == "Constant"
        for entry in node.attribute
        if entry.name == "value"
    ]
    for tensor in tensors:
        if tensor.data_type in _FLOATS and np.prod(tensor.dims, dtype=np.int64) > 1:
            yield tensor


def _tensor_digest(tensor: TensorProto) -> bytes:
    values = numpy_helper.to_array(tensor)
    shape = [int(size) for size in values.shape if size != 1]
    header = f"{TensorProto.DataType.Name(tensor.data_type)}{shape}".encode()
    content = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    digest = hashlib.sha256(header)
    digest.update(content.reshape(-1).view(np.uint8).data)  # the values themselves, not copies of them
    return digest.digest()
