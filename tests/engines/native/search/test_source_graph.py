from __future__ import annotations

import numpy as np
import pytest

from quantize.calibration.collect import collect
from quantize.data.batches import Batch
from quantize.engines.native.search.source_graph import SourceGraph, can_be_halved, images_of, rebuild
from quantize.recipe import Recipe
from tests.engines.native.search.conftest import calibration_set


def ids(parts):
    return [name for batch in parts for name in batch.ids]


def test_the_halves_are_disjoint_and_leave_no_image_out(batches):
    calibration = calibration_set(batches)
    even, odd = ids(images_of(calibration, "even")), ids(images_of(calibration, "odd"))
    assert not set(even) & set(odd)
    assert sorted(even + odd, key=int) == ids(batches)


@pytest.mark.parametrize("most", [1, 5, 8, 9, 100])
def test_no_more_images_than_asked_for_are_given(batches, most):
    given = list(images_of(calibration_set(batches), "odd", most))
    assert sum(len(batch.images) for batch in given) == min(most, 20)
    assert all(len(batch.ids) == len(batch.images) for batch in given)


def test_statistics_of_the_halves_add_up_to_those_of_all(model, batches, tmp_path):
    source = SourceGraph(model.proto, calibration_set(batches), tmp_path, moment_images=16, threads=1)
    whole = collect(model.proto(), batches)
    assert dict(source.statistics("all").tensors) == dict(whole.tensors)
    assert source.statistics("even").images == 20


def test_statistics_are_collected_once_and_kept(model, batches, tmp_path):
    def source():
        return SourceGraph(model.proto, calibration_set(batches), tmp_path, moment_images=16, threads=1)

    first = source()
    statistics, moments = first.statistics("all"), first.moments("all")
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = source()
    assert again.statistics("all").tensors == statistics.tensors
    assert np.array_equal(again.moments("all")["left"].products, moments["left"].products)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


def test_a_single_image_has_to_do_for_everything(model, images, tmp_path):
    calibration = calibration_set([Batch(("only",), images[:1], None)], "one")
    assert not can_be_halved(calibration)
    source = SourceGraph(model.proto, calibration, tmp_path, moment_images=16, threads=1)
    assert source.statistics("all").images == 1


def test_a_recipe_built_again_elsewhere_gives_the_same_bytes(model, batches, tmp_path):
    recipe = Recipe(engine="native", corrections=("rounding", "bias", "scores"), float_nodes=("gap", "softmax"))
    built = [rebuild(model, recipe, calibration_set(batches), tmp_path / name, threads=1) for name in ("a", "b")]
    assert built[0].sha256 == built[1].sha256
