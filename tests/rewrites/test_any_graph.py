"""Every rewrite on random graphs that were not made for it: within its declaration, or byte-equal."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from onnx import ModelProto

from quantize.formats import canonical
from quantize.rewrites import REWRITES, Rewrite, matrix_units
from tests.formats.small_graphs import qlinear_graphs
from tests.rewrites.checks import Feeds, apply, assert_declared


@pytest.fixture(scope="module", params=REWRITES, ids=lambda rewrite: rewrite.name)
def rewrite(request: pytest.FixtureRequest) -> Rewrite:
    """Return a rewrite that this onnxruntime has the kernels for."""
    param: Rewrite = request.param
    if param.name == "space-to-depth":
        request.getfixturevalue("eight_bit_space_to_depth")
    return param


@pytest.fixture(autouse=True)
def _small_graphs_match(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what only pays on large layers on small ones too."""
    monkeypatch.setattr(matrix_units, "FEWEST_PRODUCTS", 1)
    monkeypatch.setattr(matrix_units, "FEWEST_OUTPUTS", 1)


@given(case=qlinear_graphs())
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rewrite_keeps_its_declaration_on_any_graph_or_leaves_it_byte_equal(
    rewrite: Rewrite, case: tuple[ModelProto, Feeds]
) -> None:
    source, feeds = case
    names, after = apply(rewrite, source)
    if names:
        assert_declared(rewrite, source, after, feeds)


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@given(qlinear_graphs())
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_keeps_its_declaration_after_those_before_it(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    now = canonical(source)
    for rewrite in REWRITES:
        names, after = apply(rewrite, now)
        if names:
            assert_declared(rewrite, now, after, feeds)
        now = after
