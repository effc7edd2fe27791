"""What a function gives is held on its grid, in whatever form the function is computed: its clipping is its own."""

from __future__ import annotations

import pytest

from quantize.evaluation.layer_check.held_tensors import HeldTensors
from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.graph.view import Graph
from quantize.rewrites import Rewrite
from quantize.rewrites.functions import quantized_functions
from tests.rewrites.checks import apply
from tests.rewrites.test_functions import FORMS, quantized
from tests.small_blocks import activated


@pytest.mark.parametrize(("rewrite", "kind"), FORMS)
def test_what_a_function_gives_is_held_in_every_form_of_it(rewrite: Rewrite, kind: str) -> None:
    before = quantized(kind)
    results = {function.nodes[-1].output[0] for function in quantized_functions(Graph(canonical(before)))}
    names, after = apply(rewrite, before)
    assert len(names) == len(results) == 2
    for form in (to_qlinear(after), to_qdq(after)):
        held = HeldTensors(activated(kind, 13), canonical(form)).all()
        assert results <= {one.tensor for one in held}
        for one in held:
            assert one.tensor not in results or one.by is not None
