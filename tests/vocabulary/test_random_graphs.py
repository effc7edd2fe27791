"""Random networks over what users' networks are made of: both formats of every engine stay near fp32.

``benchmarks/random_graphs.py`` is the long run, over as many as one has time for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.vocabulary.engines import by_onnxruntime, natively
from tests.vocabulary.growth import HEADS, NAMES, OPSETS, SIDES, Plan, Planned, random_plan
from tests.vocabulary.quantized import Built, sample, written
from tests.vocabulary.recipes import RECIPES
from tests.vocabulary.verdict import judged

pytestmark = pytest.mark.long

PLANS = st.builds(
    Plan,
    steps=st.lists(
        st.builds(Planned, st.sampled_from(NAMES), st.sampled_from([0, 0, 0, 1, 2]), st.integers(0, 2**16 - 1)),
        max_size=7,
    ).map(tuple),
    head=st.sampled_from(sorted(HEADS)),
    softmax=st.booleans(),
    side=st.sampled_from(SIDES),
    batch=st.sampled_from(["N", 1, 2]),
    opset=st.sampled_from(OPSETS),
    recipe=st.sampled_from(["plain"] * len(RECIPES) + sorted(RECIPES)),
)


@given(PLANS)
# What fails is made smaller by the long run, which takes its time: this one has to tell soon.
@settings(max_examples=200, derandomize=True, database=None, phases=[Phase.generate])
def test_any_network_keeps_its_scores_with_the_engines_of_this_process(plan: Plan) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        drawn = sample(plan.model(), folder)
        for engine in ("native", "ort"):
            assert judged(plan, engine, drawn, folder) is None


@pytest.mark.parametrize("build", [natively(), by_onnxruntime], ids=["native", "ort"])
def test_nearly_every_layer_computes_on_integers(build: Built, tmp_path: Path) -> None:
    made = [written(sample(random_plan(seed).model(), tmp_path), build, tmp_path).layers for seed in range(8)]
    in_integers, in_float = sum(count for count, _ in made), sum(len(types) for _, types in made)
    assert in_integers > 20
    assert in_float < 0.1 * in_integers


@pytest.mark.inc
def test_twenty_networks_keep_their_scores_with_neural_compressor() -> None:
    command = [sys.executable, "-m", "benchmarks.random_graphs", "--engine", "inc", "--count", "20", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"networks": 20, "failed": {}}
