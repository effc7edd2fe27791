"""What `inspect` says of any valid file, one that cannot be tuned too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from quantize.commands.inspection import inspect_model, inspection_text
from quantize.models.artifact import save_model
from tests.engines.native.search.conftest import classifier_graph
from tests.formats.test_float_weights import stored_classifier


def test_layers_stored_in_int8_are_called_so_with_what_opening_them_takes(tmp_path: Path) -> None:
    model, _ = stored_classifier()
    inspection = inspect_model(save_model(model, tmp_path / "stored.onnx").path)
    assert inspection.stored == ("stem", "left", "right", "last")
    assert inspection.opening is not None
    assert inspection.opening.load_ns > 0
    text = " ".join(inspection_text(inspection).split())
    assert "4 layers stored in int8, computed in fp32; opening it takes" in text
    assert "0.0 % of them in int8" in text


def test_nothing_is_said_of_other_files(tmp_path: Path) -> None:
    inspection = inspect_model(save_model(classifier_graph(), tmp_path / "plain.onnx").path)
    assert inspection.stored == ()
    assert inspection.refusal is None
    assert "stored" not in inspection_text(inspection).replace("stored.onnx", "")


def _conv_file(
    path: Path,
    *tail: NodeProto,
    shape: tuple[int | str, ...] = ("N", 3, 8, 8),
    outputs: tuple[str, ...] = ("c",),
    opset: int = 17,
    dtype: type = np.float32,
) -> Path:
    """Write a Conv of 4 x 3 x 3 x 3 weights that keeps the size, with nodes behind it."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    channels = shape[1]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1] * 4), *tail],
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(np.ones((4, int(channels), 3, 3), dtype), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return path


def _if(outer: str) -> NodeProto:
    """An If whose branches read a tensor outside: a Conv, and two of them, in names that both use."""
    weights = numpy_helper.from_array(np.ones((4, 4, 3, 3), np.float32), "v")

    def branch(name: str, convs: int) -> onnx.GraphProto:
        names = [outer, *(f"a{n}" for n in range(convs))]
        nodes = [helper.make_node("Conv", [names[n], "v"], [names[n + 1]], pads=[1] * 4) for n in range(convs)]
        result = helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, None)
        return helper.make_graph(nodes, name, [], [result], [weights])

    return helper.make_node("If", ["asked"], ["y"], "choice", then_branch=branch("t", 1), else_branch=branch("e", 2))


_ASKED = (
    helper.make_node("ReduceMax", ["c"], ["most"], keepdims=0),
    helper.make_node("Cast", ["most"], ["asked"], to=TensorProto.BOOL),
)


def test_any_size_is_counted_at_224_pixels_which_is_said(tmp_path: Path) -> None:
    inspection = inspect_model(_conv_file(tmp_path / "any.onnx", shape=("N", 3, "H", "W")))
    assert inspection.arithmetic.total == 224 * 224 * 4 * 27
    assert "(input 1x3x224x224)" in " ".join(inspection_text(inspection).split())


def test_of_an_if_the_larger_branch_counts_and_is_named(tmp_path: Path) -> None:
    inspection = inspect_model(_conv_file(tmp_path / "if.onnx", *_ASKED, _if("c"), outputs=("y",)))
    assert inspection.arithmetic.total == 64 * 4 * 27 + 2 * 64 * 4 * 36
    assert inspection.ops["Conv"] == 4
    (choice,) = inspection.arithmetic.choices
    assert choice.startswith("If choice: else_branch counts")
    assert f"{64 * 4 * 36:,} in then_branch" in choice


def test_a_loop_counts_as_often_as_it_turns(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("MatMul", ["v", "square"], ["v2"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v2", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(np.ones((8, 8), np.float32), "square")],
    )
    times = helper.make_node("Constant", [], ["times"], value=numpy_helper.from_array(np.array(5)))
    loop = helper.make_node("Loop", ["times", "", "c"], ["y"], "turns", body=body)
    inspection = inspect_model(_conv_file(tmp_path / "loop.onnx", times, loop, outputs=("y",)))
    assert inspection.arithmetic.total == 64 * 4 * 27 + 5 * 4 * 8 * 8 * 8
    assert inspection.arithmetic.choices == ("Loop turns: its body counts 5 times",)


def test_sizes_that_do_not_follow_from_the_graph_are_seen_in_a_run(tmp_path: Path) -> None:
    tail = (
        helper.make_node("NonZero", ["c"], ["places"]),
        helper.make_node("Cast", ["places"], ["p"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["p", "q"], ["y"]),
        helper.make_node("Transpose", ["p"], ["q"], perm=[1, 0]),
    )
    ordered = (tail[0], tail[1], tail[3], tail[2])
    arithmetic = inspect_model(_conv_file(tmp_path / "run.onnx", *ordered, outputs=("y",))).arithmetic
    assert arithmetic.unknown == 0
    assert arithmetic.total == 64 * 4 * 27  # zeros have no place that is not zero


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": ("N", 1, 8, 8)},
        {"outputs": ("c", "r"), "opset": 26},
        {"dtype": np.float16},
        {"shape": (2, 3, 8, 8), "opset": 7},
    ],
    ids=["one channel", "two outputs of opset 26", "fp16", "fixed batch of opset 7"],
)
def test_files_of_every_kind_are_read(tmp_path: Path, changes: dict) -> None:
    relu = helper.make_node("Relu", ["c"], ["r"])
    path = _conv_file(tmp_path / "kind.onnx", relu, **changes)
    inspection = inspect_model(path)
    channels = changes.get("shape", ("N", 3))[1]
    assert inspection.arithmetic.total == 64 * 4 * 9 * channels  # of one image, whatever the batch
    assert inspection.refusal is not None  # a map of features is no list of class scores
    assert "to be tuned:   no: " in inspection_text(inspection)


def test_weights_in_a_file_beside_the_model_are_read(tmp_path: Path) -> None:
    model = onnx.load(_conv_file(tmp_path / "inside.onnx"))
    path = tmp_path / "outside.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    assert inspect_model(path).arithmetic.total == 64 * 4 * 27


def test_lines_fit_80_columns(tmp_path: Path) -> None:
    path = _conv_file(tmp_path / "if.onnx", *_ASKED, _if("c"), outputs=("y",))
    model = onnx.load(path)
    model.metadata_props.add(key="quantize.preprocessing", value='{"preset":"caffe","resize":224,"crop":null}' * 3)
    model.metadata_props.add(key="quantize.source_sha256", value="0" * 64)
    onnx.save(model, path)
    lines = inspection_text(inspect_model(path)).splitlines()
    assert [line for line in lines if len(line) > 80 and str(path) not in line] == []


def test_the_size_of_the_run_that_wrote_a_file_counts(tmp_path: Path) -> None:
    path = _conv_file(tmp_path / "any.onnx", shape=("N", 3, "H", "W"))
    model = onnx.load(path)
    model.metadata_props.add(key="quantize.preprocessing", value='{"resize": 40, "crop": 32}')
    onnx.save(model, path)
    assert inspect_model(path).arithmetic.total == 32 * 32 * 4 * 27


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "fp32"), (np.float16, "fp16"), (np.float64, "fp64")])
def test_a_model_that_is_not_quantized_is_called_by_the_type_of_its_weights(
    tmp_path: Path, dtype: type, name: str
) -> None:
    path = _conv_file(tmp_path / "typed.onnx", dtype=dtype)
    assert f"format: {name} opset:" in " ".join(inspection_text(inspect_model(path)).split())


def test_an_einsum_is_counted(tmp_path: Path) -> None:
    squares = helper.make_node("Einsum", ["c", "c"], ["y"], equation="nchw,nchv->ncwv")
    inspection = inspect_model(_conv_file(tmp_path / "einsum.onnx", squares, outputs=("y",)))
    assert inspection.arithmetic.total == 64 * 4 * 27 + 4 * 8 * 8 * 8
