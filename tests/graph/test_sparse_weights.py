"""Weights stored by their values other than zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from quantize.graph.sparse_weights import store_densely
from quantize.models.prepare import prepare
from quantize.rewrites.runner import scores
from tests.vocabulary.writer import Writer, pictures


def pruned(*, by_axis: bool, beyond: int = 0) -> tuple[ModelProto, ModelProto]:
    """Return a network most of whose weights are zero, dense and sparse; one index may lie beyond the tensor."""
    write = Writer()
    model = write.model(write.head(write.stem()))
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[np.abs(weights) < 0.3] = 0
    name = model.graph.initializer[0].name
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, name))
    sparse = ModelProto()
    sparse.CopyFrom(model)
    del sparse.graph.initializer[0]
    places = np.argwhere(weights) if by_axis else np.flatnonzero(weights)
    places[-1] += beyond
    values = numpy_helper.from_array(weights[weights != 0], name)
    indices = numpy_helper.from_array(places.astype(np.int64), f"{name}_places")
    sparse.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, list(weights.shape)))
    return model, sparse


@pytest.mark.parametrize("by_axis", [False, True])
def test_a_network_with_sparse_weights_is_prepared_with_dense_ones(by_axis: bool, tmp_path: Path) -> None:
    dense, sparse = pruned(by_axis=by_axis)
    onnx.save(sparse, tmp_path / "source.onnx")
    made = prepare(tmp_path / "source.onnx", tmp_path / "prepared.onnx").proto()
    images = [pictures((2, 3, 16, 16), 0)]
    np.testing.assert_allclose(scores(made, images), scores(dense, images), rtol=1e-5)


@pytest.mark.parametrize("by_axis", [False, True])
def test_indices_beyond_the_tensor_stay_for_the_checker(by_axis: bool) -> None:
    _, sparse = pruned(by_axis=by_axis, beyond=10_000)
    store_densely(sparse.graph)
    assert len(sparse.graph.sparse_initializer) == 1


def test_a_tensor_that_claims_far_more_than_is_stored_is_not_made() -> None:
    _, sparse = pruned(by_axis=False)
    sparse.graph.sparse_initializer[0].dims[0] = 1 << 40
    store_densely(sparse.graph)
    assert len(sparse.graph.sparse_initializer) == 1
