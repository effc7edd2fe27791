from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

from quantize.errors import ModelError
from quantize.graph.opsets.raising import raise_opset
from quantize.models.artifact import ModelArtifact
from quantize.models.prepare import prepare, prepare_whole
from quantize.models.session import open_session
from tests.vocabulary.convs import cast_at_every_layer
from tests.vocabulary.writer import Writer

Classifier = Callable[..., ModelProto]
Scores = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]
Images = NDArray[np.float32]
Prepared = Callable[..., ModelArtifact]

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    def write_and_prepare(model: ModelProto, **options: int) -> ModelArtifact:
        source = tmp_path / "source.onnx"
        source.write_bytes(model.SerializeToString())
        return prepare(source, tmp_path / "prepared.onnx", **options)

    return write_and_prepare


def operators(artifact: ModelArtifact) -> list[str]:
    return [node.op_type for node in artifact.proto().graph.node]


def dense(*, batch: int | str, target: list[int], features: int = 4 * 36) -> dict[str, object]:
    """Return what makes a classifier end in a Reshape to a constant shape and a MatMul, as exporters write it."""
    body = [
        helper.make_node("Reshape", ["features", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "d"], ["scores"]),
    ]
    weights = np.random.default_rng(3).standard_normal((features, 5)).astype(np.float32)
    constants = {"target": np.array(target, np.int64), "d": weights}
    return {"body": body, "constants": constants, "head": False, "image": [batch, 3, 8, 8], "scores": [batch, 5]}


def test_a_clean_model_stays_as_it_is(classifier: Classifier, prepared: Prepared, run: Scores, images: Images) -> None:
    model = classifier()
    artifact = prepared(model)

    assert operators(artifact) == ["Conv", "GlobalAveragePool", "Softmax"]
    np.testing.assert_array_equal(run(artifact.proto(), images), run(model, images))


def test_preparing_twice_changes_nothing(classifier: Classifier, prepared: Prepared) -> None:
    once = prepared(classifier(opset=9)).proto()

    assert prepared(once).proto().SerializeToString() == once.SerializeToString()


@pytest.mark.parametrize(("given", "lowest", "expected"), [(7, None, 12), (9, 13, 13), (13, None, 13), (17, 13, 17)])
def test_the_opset_is_raised_and_never_lowered(
    classifier: Classifier, prepared: Prepared, given: int, lowest: int | None, expected: int
) -> None:
    options = {} if lowest is None else {"opset": lowest}

    assert prepared(classifier(opset=given), **options).opset == expected


def test_an_opset_newer_than_the_installed_onnx_is_declared_as_its_newest(
    classifier: Classifier, prepared: Prepared, run: Scores, images: Images
) -> None:
    newest = onnx.defs.onnx_opset_version()
    model = classifier(opset=newest + 1)
    try:
        open_session(model.SerializeToString())
    except ModelError:
        pytest.skip("the installed onnxruntime reads no opset newer than the installed onnx knows")
    artifact = prepared(model)

    assert artifact.opset == newest
    np.testing.assert_allclose(run(artifact.proto(), images), run(model, images), rtol=1e-5)


def test_two_nodes_of_one_name_are_taken_and_told(
    classifier: Classifier, tmp_path: Path, run: Scores, images: Images
) -> None:
    model = classifier()
    expected = run(model, images)
    for node in model.graph.node[:2]:
        node.name = "same"
    source = tmp_path / "source.onnx"
    source.write_bytes(model.SerializeToString())
    whole = prepare_whole(source, tmp_path / "prepared.onnx")

    np.testing.assert_array_equal(run(whole.model.proto(), images), expected)
    assert whole.notes == ("2 nodes are named 'same': all but the first are called 'same_2' here.",)
    assert [node.name for node in whole.model.proto().graph.node][:2] == ["same", "same_2"]


def test_sums_that_cancel_out_stay_as_they_are_where_folding_changes_what_float32_rounds(tmp_path: Path) -> None:
    write = Writer()
    x = write.conv(write.stem(), 16, bias=np.full(16, 1e5, np.float32))
    source = tmp_path / "source.onnx"
    onnx.save(write.model(write.head(write.on(x, "Sub", write.floats(1e5)))), source)
    whole = prepare_whole(source, tmp_path / "prepared.onnx")

    assert "Sub" in operators(whole.model)
    (told,) = whole.notes
    assert told.startswith("Sums and products by channel stay nodes of their own")


def test_an_operator_that_is_newer_than_the_installed_onnx_is_named(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    monkeypatch.setattr("quantize.models.simplification.known_opset", lambda opset: min(opset, 12))
    monkeypatch.setattr("onnx.defs.has", lambda op_type, domain: op_type != "Softmax")
    with pytest.raises(ModelError, match="newer than the installed onnx knows") as refused:
        prepared(classifier(opset=13))
    assert refused.value.found == "Softmax of opset 13"


def test_a_branch_that_is_known_and_forms_that_quantizers_do_not_know_are_gone(
    classifier: Classifier, prepared: Prepared, run: Scores, images: Images
) -> None:
    def branch(op_type: str) -> onnx.GraphProto:
        node = helper.make_node(op_type, ["features"], [op_type])
        return helper.make_graph([node], op_type, [], [helper.make_tensor_value_info(op_type, 1, None)])

    body = [
        helper.make_node("Shape", ["features"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "one"], ["channels"]),
        helper.make_node("Equal", ["channels", "four"], ["yes"]),
        helper.make_node("If", ["yes"], ["h1"], then_branch=branch("Relu"), else_branch=branch("Neg")),
        helper.make_node("Relu", ["h1"], ["h2"]),
        helper.make_node("Concat", ["h2", "empty"], ["h3"], axis=1),
        helper.make_node("GlobalAveragePool", ["h3"], ["h4"]),
        helper.make_node("Flatten", ["h4"], ["h5"]),
        helper.make_node("MatMul", ["h5", "d"], ["scores"]),
    ]
    constants = {
        "one": np.array(1),
        "four": np.array(4),
        "empty": np.zeros((1, 0, 6, 6), np.float32),
        "d": np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32),
    }
    model = classifier(body=body, constants=constants, head=False, image=[1, 3, 8, 8], scores=[1, 5])
    artifact = prepared(model)

    assert operators(artifact) == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "MatMul"]
    np.testing.assert_allclose(run(artifact.proto(), images[:1]), run(model, images[:1]), rtol=1e-5)


def test_weights_are_freed_folded_and_named(classifier: Classifier, prepared: Prepared) -> None:
    half = {"half": np.full(4, 0.5, np.float32).reshape(4, 1, 1)}
    body = [
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Mul", ["half", "two"], ["one"]),
        helper.make_node("Mul", ["features", "one"], ["scaled"]),
        helper.make_node("Identity", ["scaled"], ["same"]),
        helper.make_node("Dropout", ["same"], ["last", "mask"]),
        helper.make_node("Neg", ["features"], ["dead"]),
    ]
    model = classifier(body, half, ir_version=3)
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in model.graph.initializer
    )
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    for node in model.graph.node:
        node.ClearField("name")

    result = prepared(model).proto()

    assert [node.op_type for node in result.graph.node] == ["Conv", "GlobalAveragePool", "Softmax"]
    assert [value.name for value in result.graph.input] == ["image"]
    assert [(entry.domain, entry.version) for entry in result.opset_import] == [("", 13)]
    assert len({node.name for node in result.graph.node} - {""}) == 3


def test_weights_that_light_models_compute_are_stored(prepared: Prepared) -> None:
    artifact = prepared(onnx.load(LIGHT / "light_squeezenet.onnx"))

    assert Counter(operators(artifact)) == {
        "Conv": 26,
        "Relu": 26,
        "Concat": 8,
        "MaxPool": 3,
        "GlobalAveragePool": 1,
        "Softmax": 1,
    }
    assert artifact.contract.input.shape == ("N", 3, 224, 224)
    assert artifact.contract.output.shape == ("N", 1000, 1, 1)
    assert artifact.opset == 12


@pytest.mark.parametrize("name", ["densenet121", "inception_v1", "inception_v2", "shufflenet"])
def test_the_other_light_classifiers_are_taken_for_any_batch(name: str, prepared: Prepared) -> None:
    artifact = prepared(onnx.load(LIGHT / f"light_{name}.onnx"))

    assert artifact.contract.classes == 1000
    assert artifact.contract.fixed_batch is None
    assert not {"ConstantOfShape", "Sum", "Dropout", "Unsqueeze"} & set(operators(artifact))
    assert ("BatchNormalization" in operators(artifact)) == (name == "densenet121")


@pytest.mark.parametrize("target", [[1, -1], [-1, 144], [0, -1], [1, 144]])
def test_a_fixed_batch_of_one_becomes_symbolic(
    classifier: Classifier, prepared: Prepared, run: Scores, images: Images, target: list[int]
) -> None:
    model = classifier(**dense(batch=1, target=target))
    artifact = prepared(model)

    assert artifact.contract.input.shape == ("N", 3, 8, 8)
    assert artifact.contract.output.shape == ("N", 5)
    one_by_one = np.concatenate([run(model, image[None]) for image in images])
    np.testing.assert_allclose(run(artifact.proto(), images), one_by_one, rtol=1e-5, atol=1e-5)


def test_a_fixed_batch_of_two_becomes_symbolic(
    classifier: Classifier, prepared: Prepared, run: Scores, images: Images
) -> None:
    model = classifier(**dense(batch=2, target=[2, 144]))
    artifact = prepared(model)

    assert artifact.contract.fixed_batch is None
    np.testing.assert_allclose(run(artifact.proto(), images[:1]), run(model, images)[:1], rtol=1e-5, atol=1e-5)


def test_a_symbolic_batch_that_only_works_for_one_image_is_fixed(
    classifier: Classifier, prepared: Prepared, run: Scores, images: Images
) -> None:
    artifact = prepared(classifier(**dense(batch="N", target=[1, -1])))

    assert artifact.contract.fixed_batch is None
    assert run(artifact.proto(), images).shape == (2, 5)


def test_a_batch_that_the_graph_mixes_stays_fixed(classifier: Classifier, prepared: Prepared) -> None:
    mixing = [
        helper.make_node("ReduceMean", ["features"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Add", ["centred", "features"], ["last"]),
    ]
    artifact = prepared(classifier(mixing, image=[1, 3, 8, 8], scores=[1, 4, 1, 1]))

    assert artifact.contract.fixed_batch == 1
    assert artifact.contract.output.shape == (1, 4, 1, 1)


def test_casts_that_change_nothing_and_computed_padding_keep_no_layer_from_its_neighbours(prepared: Prepared) -> None:
    artifact = prepared(cast_at_every_layer())

    assert operators(artifact) == ["Conv", "Relu", "Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]


@pytest.mark.parametrize(("batch", "told"), [(1, False), ("N", True)])
def test_a_model_that_says_any_batch_and_mixes_its_images_is_told(
    classifier: Classifier, tmp_path: Path, batch: int | str, told: bool
) -> None:
    mixing = [
        helper.make_node("ReduceMean", ["features"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Add", ["centred", "features"], ["last"]),
    ]
    source = tmp_path / "source.onnx"
    source.write_bytes(classifier(mixing, image=[batch, 3, 8, 8], scores=[batch, 4, 1, 1]).SerializeToString())
    notes = prepare_whole(source, tmp_path / "prepared.onnx").notes
    assert [note.startswith("The files take one image at a time: the model says") for note in notes] == [True] * told


def test_a_model_that_does_take_several_images_is_not_said_to_mix_them(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quantize.models.prepare.with_any_batch", lambda plain, reference: None)
    source = tmp_path / "source.onnx"
    source.write_bytes(classifier(image=["N", 3, 8, 8], scores=["N", 4, 1, 1]).SerializeToString())
    (note,) = prepare_whole(source, tmp_path / "prepared.onnx").notes
    assert note.startswith("The files take one image at a time: no form of the model was found")


def test_a_shape_that_is_computed_for_the_batch_becomes_constant(
    classifier: Classifier, prepared: Prepared, run: Scores, images: Images
) -> None:
    body = [
        helper.make_node("Shape", ["features"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "first"], ["rows"]),
        helper.make_node("Concat", ["rows", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["features", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "d"], ["scores"]),
    ]
    constants = {
        "zero": np.array(0, np.int64),
        "first": np.array([0], np.int64),
        "rest": np.array([-1], np.int64),
        "d": np.ones((144, 5), np.float32),
    }
    model = classifier(body, constants, head=False, scores=["N", 5])
    artifact = prepared(model)

    assert operators(artifact) == ["Conv", "Reshape", "MatMul"]
    np.testing.assert_array_equal(run(artifact.proto(), images), run(model, images))


def test_an_input_that_nothing_reads_is_left_out(classifier: Classifier, prepared: Prepared) -> None:
    model = classifier()
    model.graph.input.append(helper.make_tensor_value_info("unused", TensorProto.INT64, [2]))

    assert [value.name for value in prepared(model).proto().graph.input] == ["image"]


def test_functions_of_the_model_are_inlined(
    classifier: Classifier, prepared: Prepared, run: Scores, images: Images
) -> None:
    function = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 13)]
    )
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("local", 1)]
    model = classifier(
        [helper.make_node("Twice", ["features"], ["last"], domain="local")],
        opset_imports=imports,
        functions=[function],
        ir_version=8,
    )
    artifact = prepared(model)

    assert "Add" in operators(artifact)
    assert not artifact.proto().functions
    np.testing.assert_array_equal(run(artifact.proto(), images), run(model, images))


@pytest.mark.parametrize("shape", [None, ["N", "classes"], [None, None]])
def test_a_shape_that_the_output_does_not_declare_is_inferred(
    classifier: Classifier, prepared: Prepared, shape: list[str | None] | None
) -> None:
    model = classifier(**{**dense(batch="N", target=[0, -1]), "scores": shape})

    assert prepared(model).contract.output.shape == ("N", 5)


def test_an_image_of_any_size_is_taken(classifier: Classifier, prepared: Prepared) -> None:
    artifact = prepared(classifier(image=["batch", 3, "height", "width"], scores=["batch", 4, 1, 1]))

    assert artifact.contract.input.shape == ("N", 3, "height", "width")
    assert artifact.contract.image_size is None


def test_scores_that_are_not_numbers_stay_so(classifier: Classifier, prepared: Prepared) -> None:
    model = classifier()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((4, 3, 3, 3), np.nan, np.float32), "w"))

    assert prepared(model).contract.classes == 4


def test_the_same_source_gives_the_same_bytes(classifier: Classifier, prepared: Prepared) -> None:
    first = prepared(classifier(opset=9)).sha256

    assert prepared(classifier(opset=9)).sha256 == first


def photographs(shared: Path, count: int) -> NDArray[np.float32]:
    files = sorted((shared / "imagenet" / "val").iterdir())[:count]
    pictures = [Image.open(file).convert("RGB").resize((224, 224)) for file in files]
    return np.stack([np.asarray(picture, np.float32).transpose(2, 0, 1) for picture in pictures])


@pytest.mark.real
@pytest.mark.parametrize("opset", [12, 13])
def test_squeezenet_scores_photographs_as_before(
    squeezenet: Path, shared: Path, tmp_path: Path, run: Scores, opset: int
) -> None:
    images = photographs(shared, 8) - np.float32(115)
    artifact = prepare(squeezenet, tmp_path / "prepared.onnx", opset=opset)

    assert artifact.opset == opset
    assert not {"Shape", "Flatten", "Reshape"} & set(operators(artifact))
    np.testing.assert_allclose(run(artifact.proto(), images), run(onnx.load(squeezenet), images), atol=1e-5)


@pytest.mark.real
def test_efficientnet_scores_photographs_as_before(
    efficientnet: Path, shared: Path, tmp_path: Path, run: Scores
) -> None:
    images = (photographs(shared, 8) - np.float32(115)) / np.float32(57)
    artifact = prepare(efficientnet, tmp_path / "prepared.onnx")

    assert Counter(operators(artifact)) == {
        "Conv": 49,
        "Clip": 33,
        "Add": 9,
        "GlobalAveragePool": 1,
        "Reshape": 1,
        "Gemm": 1,
    }
    np.testing.assert_allclose(run(artifact.proto(), images), run(onnx.load(efficientnet), images), atol=1e-5)


@pytest.mark.real
def test_squeezenet_raised_to_thirteen_is_valid_with_one_softmax_over_the_classes(squeezenet: Path) -> None:
    model = raise_opset(onnx.load(squeezenet), 13)

    onnx.checker.check_model(model, full_check=True)
    head = model.graph.node[-1]
    assert (head.op_type, head.attribute[0].name, head.attribute[0].i) == ("Softmax", "axis", 1)
