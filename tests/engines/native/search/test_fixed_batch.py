"""A search on a model of a fixed batch size, with images that do not fill whole batches."""

from __future__ import annotations

import pytest

from quantize.criterion import Criterion
from quantize.data.batches import Batch
from quantize.engines.native.search.settings import SearchSettings
from quantize.models.artifact import save_model
from quantize.models.batch_size import set_batch
from tests.engines.native.search.conftest import classifier_graph

CORRECTIONS = SearchSettings.model_fields["corrections"].default


def searched(search):
    list(search.trials())
    return search.result


@pytest.mark.parametrize("batch", [1, 3, 8, 16])
def test_a_model_of_a_fixed_batch_is_searched_on_all_images(search_in, images, tmp_path, batch):
    graph = classifier_graph()
    set_batch(graph.graph, batch)
    fixed = save_model(graph, tmp_path / "fixed.onnx")
    parts = [range(0, 5), range(5, 10)]
    ten = [Batch(tuple(str(at) for at in part), images[part.start : part.stop], None) for part in parts]
    given = {"images": ten, "wanted": Criterion("none"), "corrections": CORRECTIONS}
    expected = searched(search_in(tmp_path / "free", **given))
    result = searched(search_in(tmp_path / "fixed", searched=fixed, **given))
    assert result.chosen.trial.artifact.contract.fixed_batch == batch
    assert result.sensitivity.images == 10
    assert dict(result.fidelity) == pytest.approx(dict(expected.fidelity), rel=1e-2)
    assert result.sensitivity.weights == pytest.approx(dict(expected.sensitivity.weights), rel=1e-2)
    assert result.sensitivity.tensors == pytest.approx(dict(expected.sensitivity.tensors), rel=1e-2)
