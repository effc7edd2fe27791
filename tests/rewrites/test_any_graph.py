"""Every rewrite on random graphs that were not made for it: within its declaration, or byte-equal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from onnx import ModelProto

from quantize.formats import canonical
from quantize.rewrites import REWRITES, Rewrite
from tests.formats.small_graphs import qlinear_graphs
from tests.rewrites.checks import Feeds, apply, assert_declared


@pytest.fixture(scope="module", params=REWRITES, ids=lambda one: one.name)
def one(request: pytest.FixtureRequest) -> Rewrite:
    """Return a rewrite that this onnxruntime has the kernels for."""
    found: Rewrite = request.param
    if found.name == "space-to-depth":
        request.getfixturevalue("eight_bit_space_to_depth")
    return found


@given(case=qlinear_graphs())
@settings(deadline=None, max_examples=20)
def test_a_rewrite_keeps_its_word_on_any_graph_or_leaves_it_byte_equal(
    one: Rewrite, case: tuple[ModelProto, Feeds]
) -> None:
    source, feeds = case
    names, after = apply(one, source)
    if names:
        assert_declared(one, source, after, feeds)


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@given(qlinear_graphs())
@settings(deadline=None, max_examples=20)
def test_each_keeps_its_word_after_those_before_it(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    now = canonical(source)
    for one in REWRITES:
        names, after = apply(one, now)
        if names:
            assert_declared(one, now, after, feeds)
        now = after
