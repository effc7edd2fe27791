"""The runner checks what rewrites declare, measures them, and keeps those that make the model faster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.errors import ConfigError
from quantize.formats import to_qlinear
from quantize.graph.view import Graph
from quantize.models.session import MissingKernelError
from quantize.rewrites import (
    REWRITES,
    Declaration,
    RatioInterval,
    Rewrite,
    matrix_units,
    rewrite,
    runner,
    select_rewrites,
)
from quantize.rewrites.common_scales import COMMON_SCALES
from quantize.rewrites.matrix_units import MATRIX_UNITS
from quantize.rewrites.protocol import Nearness, not_shown_slower
from quantize.rewrites.redundant import REDUNDANT
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH
from tests.formats.small_graphs import QLinearGraph, run

FASTER = RatioInterval(1.1, 1.2, 1.3)
UNSURE = RatioInterval(0.9, 1.0, 1.1)
SLOWER = RatioInterval(0.8, 0.9, 0.99)


@pytest.fixture
def source() -> ModelProto:
    """Return a stem and a fire module with a quantized head."""
    build = QLinearGraph(seed=1)
    x = build.conv(build.quantized_input((2, 3, 15, 15)), 16, stride=2, relu=True)
    left = build.conv(x, 8, kernel=1, relu=True)
    x = build.concat(left, build.conv(left, 8, pads=(1, 1, 1, 1), relu=True))
    return build.model(build.gemm(build.flatten(build.global_average_pool(x)), 20))


@pytest.fixture
def images() -> list[NDArray[np.float32]]:
    """Return two batches of two images."""
    return [np.random.default_rng(seed).normal(0, 1.5, (2, 3, 15, 15)).astype(np.float32) for seed in (0, 1)]


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_the_default_changes_the_model_and_says_how(source: ModelProto, images: list[NDArray[np.float32]]) -> None:
    done = rewrite(source, select_rewrites("default"), images=images)
    records = {record.name: record for record in done.records}
    assert list(records) == [rewrite.name for rewrite in REWRITES]
    assert records["space-to-depth"].kept
    assert records["space-to-depth"].movement is not None
    assert records["space-to-depth"].movement.largest == 0.0
    assert records["common-scales"].declared == "rounding"
    assert not records["channel-padding"].kept
    assert records["channel-padding"].reason == "pattern not found"
    assert all(record.reason is None for record in done.records if record.kept)
    name = source.graph.input[0].name
    for qlinear, qdq in zip(run(done.qlinear, {name: images[0]}), run(done.qdq, {name: images[0]}), strict=True):
        np.testing.assert_array_equal(qlinear, qdq)


def test_one_that_this_onnxruntime_has_no_kernel_for_is_left_out(
    source: ModelProto, images: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scores(model: ModelProto, images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        if any(node.op_type == "SpaceToDepth" for node in model.graph.node):  # as onnxruntime 1.23 and older
            raise MissingKernelError("onnxruntime cannot load the model")
        return scored(model, images)

    scored = runner.scores
    monkeypatch.setattr(runner, "scores", scores)
    done = rewrite(source, select_rewrites("default"), images=images)
    records = {record.name: record for record in done.records}
    assert not records["space-to-depth"].kept
    assert "no kernel" in (records["space-to-depth"].reason or "")
    assert records["common-scales"].kept
    assert "SpaceToDepth" not in {node.op_type for node in done.qlinear.graph.node}


def test_no_rewrites_give_the_same_scores(source: ModelProto, images: list[NDArray[np.float32]]) -> None:
    done = rewrite(source, select_rewrites("none"), images=images)
    feeds = {source.graph.input[0].name: images[0]}
    np.testing.assert_array_equal(run(done.qlinear, feeds)[0], run(source, feeds)[0])
    assert done.records == ()


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_a_slower_one_is_left_out_and_both_formats_are_timed(
    source: ModelProto, images: list[NDArray[np.float32]]
) -> None:
    timed: list[tuple[ModelProto, ModelProto]] = []

    def slower(before: ModelProto, after: ModelProto, shown: bool) -> RatioInterval:
        assert not shown  # no score moves: what is not shown to be slower is kept
        timed.append((before, after))
        return SLOWER

    done = rewrite(source, [SPACE_TO_DEPTH], images=images, faster=slower)
    assert not done.records[0].kept
    assert done.records[0].reason == "it does not pay on this model and machine"
    assert done.records[0].speed == (("qlinear", SLOWER), ("qdq", SLOWER))
    assert [model.opset_import[0].version for model in timed[0]] == [12, 12]
    assert [model.opset_import[0].version for model in timed[1]] == [13, 13]
    assert done.qlinear == to_qlinear(source)


def test_what_runs_as_before_is_not_timed(source: ModelProto, images: list[NDArray[np.float32]]) -> None:
    done = rewrite(source, [REDUNDANT], images=images, faster=lambda *_: SLOWER)
    assert done.records[0].kept
    assert done.records[0].speed == ()


@pytest.mark.parametrize(("measured", "kept"), [(FASTER, True), (UNSURE, False)])
def test_what_pays_on_some_cpus_only_is_timed_though_the_same_operators_run_and_must_be_shown_faster(
    monkeypatch: pytest.MonkeyPatch,
    source: ModelProto,
    images: list[NDArray[np.float32]],
    measured: RatioInterval,
    kept: bool,
) -> None:
    monkeypatch.setattr(matrix_units, "FEWEST_PRODUCTS", 1)
    asked: list[bool] = []

    def timed(before: ModelProto, after: ModelProto, shown: bool) -> RatioInterval:
        asked.append(shown)
        return measured

    done = rewrite(source, [MATRIX_UNITS], images=images, faster=timed)
    assert (done.records[0].kept, asked) == (kept, [True, True])


def test_one_that_can_gain_nothing_here_is_not_tried_and_the_record_says_why(
    monkeypatch: pytest.MonkeyPatch, source: ModelProto, images: list[NDArray[np.float32]]
) -> None:
    why = {"matrix-units": "this CPU has none"}
    (record,) = rewrite(source, [MATRIX_UNITS], images=images, left_out=why).records
    assert (record.kept, record.reason) == (False, "pattern not found")
    monkeypatch.setattr(matrix_units, "FEWEST_PRODUCTS", 1)
    done = rewrite(source, [MATRIX_UNITS, REDUNDANT], images=images, left_out=why)
    assert [(record.kept, record.reason) for record in done.records] == [(False, "this CPU has none"), (True, None)]


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@pytest.mark.parametrize(("measured", "exact", "rounding"), [(FASTER, True, True), (UNSURE, True, False)])
def test_what_moves_scores_must_be_shown_not_slower(
    source: ModelProto, images: list[NDArray[np.float32]], measured: RatioInterval, exact: bool, rounding: bool
) -> None:
    asked: list[bool] = []

    def timed(before: ModelProto, after: ModelProto, shown: bool) -> RatioInterval:
        asked.append(shown)
        return measured

    rewritten = rewrite(source, [SPACE_TO_DEPTH, COMMON_SCALES], images=images, faster=timed)
    assert [record.kept for record in rewritten.records] == [exact, rounding]
    assert asked == [False, False, True, True]


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_one_that_breaks_the_criterion_is_left_out(source: ModelProto, images: list[NDArray[np.float32]]) -> None:
    done = rewrite(source, [SPACE_TO_DEPTH, COMMON_SCALES], images=images, criterion=lambda model: False)
    assert done.records[0].kept  # no score moved, so there is nothing to ask
    assert done.records[1].reason == "the criterion is no longer met with it"


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_how_it_moved_agreement_and_divergence_is_recorded(
    source: ModelProto, images: list[NDArray[np.float32]]
) -> None:
    measured = iter([Nearness(0.95, 0.010), Nearness(0.93, 0.012)])
    done = rewrite(source, [SPACE_TO_DEPTH, COMMON_SCALES], images=images, nearness=lambda model: next(measured))
    still, moved = (record.nearness_moved for record in done.records)
    assert still == Nearness(0.0, 0.0)
    assert moved is not None
    assert (moved.agreement, moved.divergence) == pytest.approx((-0.02, 0.002))


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@pytest.mark.parametrize(
    ("measured", "after", "kept"), [(UNSURE, 0.010, True), (UNSURE, 0.011, False), (SLOWER, 0.009, False)]
)
def test_what_moves_scores_nearer_to_fp32_is_kept_unless_it_is_shown_slower(
    source: ModelProto, images: list[NDArray[np.float32]], measured: RatioInterval, after: float, kept: bool
) -> None:
    near = iter([Nearness(0.95, 0.010), Nearness(0.95, after)])
    asked: list[bool] = []

    def timed(before: ModelProto, after: ModelProto, shown: bool) -> RatioInterval:
        asked.append(shown)
        return measured

    done = rewrite(source, [COMMON_SCALES], images=images, faster=timed, nearness=lambda model: next(near))
    assert [record.kept for record in done.records] == [kept]
    assert asked == 2 * [after > 0.010]  # what is nearer need not be shown to gain


def _halve_a_weight(graph: Graph) -> Sequence[str]:
    node = next(node for node in graph.sorted_nodes() if node.op_type == "Conv")
    weight = graph.producer(node.input[1])
    assert weight is not None
    values = graph.constant(weight.input[0])
    assert values is not None
    graph.set_input(weight, 0, graph.add_constant("half", (values // 2).astype(values.dtype)))
    return [node.name]


def _rename_the_output(graph: Graph) -> Sequence[str]:
    graph.proto.output[0].type.tensor_type.shape.dim[0].dim_param = "other"
    return ["output"]


@pytest.mark.parametrize(
    ("faulty", "says"),
    [
        (
            Rewrite("lies", Declaration("exact"), _halve_a_weight, lambda g, n: [], not_shown_slower),
            "but moves the QLinear scores",
        ),
        (
            Rewrite("output", Declaration("exact"), _rename_the_output, lambda g, n: [], not_shown_slower),
            "declared input or output",
        ),
        (
            Rewrite("promise", Declaration("exact"), _halve_a_weight, lambda g, n: ["no"], not_shown_slower),
            "does not leave the graph as it promises: no",
        ),
    ],
)
def test_one_that_breaks_its_declaration_is_left_out_and_the_record_says_so(
    source: ModelProto, images: list[NDArray[np.float32]], faulty: Rewrite, says: str
) -> None:
    done = rewrite(source, [faulty], images=images)
    assert says in (done.records[0].reason or "")
    assert done.qlinear == to_qlinear(source)


def test_a_setting_selects_rewrites_in_their_order() -> None:
    assert select_rewrites("none") == ()
    assert select_rewrites("all") == REWRITES
    names = [selected.name for selected in select_rewrites("common_scales, space-to-depth")]
    assert names == ["space-to-depth", "common-scales"]
    assert select_rewrites(["float-head"])[0].name == "float-head"


def test_an_unknown_rewrite_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'space-to-depth'") as error:
        select_rewrites("space-to-dept")
    assert "none, default, all" in str(error.value)


def test_a_declaration_says_by_how_much() -> None:
    with pytest.raises(ValueError, match="says by how much"):
        Declaration("rounding")
    with pytest.raises(ValueError, match="moves nothing"):
        Declaration("exact", 0.1)
