"""What is foreseen of operators, engine by engine, and the trial of building."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import pytest
from onnx import ModelProto

import quantize.examination.operators as examined
from quantize.config import load_config
from quantize.engines.engine import engine_named
from quantize.engines.foreseen import Foreseen, foreseen
from quantize.engines.ort import quantizer
from quantize.engines.task import BuildTask
from quantize.errors import ModelError
from quantize.examination.findings import Examination
from quantize.examination.operators import examine_engine, examine_operators
from quantize.formats import to_qlinear
from quantize.recipe import EngineName
from tests.vocabulary.activations import silu_block
from tests.vocabulary.engines import by_neural_compressor, by_onnxruntime, in_this_process, natively
from tests.vocabulary.forks import neural_compressor_in_forks
from tests.vocabulary.products import gemm_forms
from tests.vocabulary.quantized import INTEGER_LAYERS, Built, Sample, sample

_FLOAT = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
_BUILT: dict[EngineName, Built] = {"native": natively(), "ort": by_onnxruntime, "inc": by_neural_compressor}

Tasked = Callable[..., BuildTask]


@pytest.fixture(params=_BUILT)
def engine(request: pytest.FixtureRequest) -> Iterator[EngineName]:
    """Name every engine; none of them starts a process."""
    name: EngineName = request.param
    if name == "inc":
        pytest.importorskip("neural_compressor")
    forks = neural_compressor_in_forks() if name == "inc" else nullcontext()
    with mock.patch.object(quantizer, "ChildProcess", in_this_process), forks:
        yield name


@pytest.fixture
def given(tmp_path: Path) -> Callable[[ModelProto], Sample]:
    return lambda model: sample(model, tmp_path)


@pytest.fixture
def tasked(tmp_path: Path) -> Tasked:
    def task(given: Sample, settings: dict[str, object] | None = None) -> BuildTask:
        config = load_config(None, {"quantization.target": "vnni", **(settings or {})})
        return BuildTask(
            model=given.prepared,
            calibration=given.calibration,
            framework=config.model.framework,
            quantization=config.quantization,
            tuning=config.tuning,
            rewrites=(),
            folder=tmp_path,
            threads=1,
        )

    return task


def _text(*examinations: Examination) -> str:
    findings = [finding for examination in examinations for finding in examination.findings]
    return " ".join([*(own.check.text for own in examinations), *(f"{f.what} {f.evidence}" for f in findings)])


def _nodes(name: EngineName, task: BuildTask) -> tuple[Foreseen, ...]:
    engine = engine_named(name)
    first = engine.first(task)
    assert first.artifact is not None
    stay = engine.stays_in_float(task.model, first.recipe, task.calibration, task.folder)
    qlinear = to_qlinear(first.artifact.proto(), opset=13)
    return foreseen(task.model.proto(), qlinear, first.recipe, stay=stay, engine=engine.in_words)


def test_what_each_engine_computes_on_integers_is_what_is_foreseen_of_it(
    engine: EngineName, given: Callable[[ModelProto], Sample], tasked: Tasked, tmp_path: Path
) -> None:
    network = given(silu_block())
    nodes = _nodes(engine, tasked(network))
    model = to_qlinear(_BUILT[engine](network.prepared, network.calibration, tmp_path).model.proto())
    made = Counter(node.op_type for node in model.graph.node)
    told = Counter(node.op_type for node in nodes if node.fate == "integers")
    assert (told["Sigmoid"], told["Mul"]) == (made["QLinearSigmoid"], made["QLinearMul"])
    assert told["Conv"] + told["Gemm"] == sum(made[name] for name in INTEGER_LAYERS)
    left = {(node.op_type, node.fate) for node in nodes}
    assert (("Sigmoid", "float") in left) == ("Sigmoid" in made)
    assert engine == "native" or told["Sigmoid"] == 4


def test_a_constant_on_the_left_of_a_product_is_foreseen_in_float_with_the_reason(
    engine: EngineName, given: Callable[[ModelProto], Sample], tasked: Tasked
) -> None:
    nodes = {node.node: node for node in _nodes(engine, tasked(given(gemm_forms())))}
    (product,) = (node for node in nodes.values() if node.op_type == "MatMul")
    assert product.fate == "float"
    assert product.why == "this onnxruntime has no integer kernel for it (QLinearMatMul)"
    assert {node.fate for node in nodes.values() if node.op_type == "Conv"} == {"integers"}


def test_every_operator_is_told_with_what_tuning_does_with_it(
    engine: EngineName, given: Callable[[ModelProto], Sample], tasked: Tasked
) -> None:
    operators, trial = examine_engine(engine_named(engine), tasked(given(silu_block())))
    assert (operators.check.name, trial.check.name) == ("operators", "trial build")
    assert "on integers: " in operators.check.text
    assert "Conv" in operators.check.text.split("in float")[0]
    assert "both formats open" in trial.check.text
    assert "of the multiply-adds are on integers" in trial.check.text


def test_several_engines_are_told_apart(given: Callable[[ModelProto], Sample], tasked: Tasked) -> None:
    found = examine_engine(engine_named("native"), tasked(given(silu_block())), alone=False)
    assert [examination.check.name for examination in found] == ["operators (native)", "trial build (native)"]


def test_an_operator_without_an_integer_form_is_a_note_that_says_why(
    given: Callable[[ModelProto], Sample], tasked: Tasked
) -> None:
    model = silu_block()
    gate = [node for node in model.graph.node if node.op_type == "Sigmoid"][-1]
    gate.op_type = "Erf"
    text = _text(*examine_engine(engine_named("ort"), tasked(given(model))))
    assert "1 Erf: no integer form of the operator" in text
    assert "cannot compute on integers here" in text


@pytest.mark.parametrize("name", ["native", "ort", "inc"])
def test_what_the_settings_keep_in_float_is_told_as_that(
    name: EngineName, given: Callable[[ModelProto], Sample], tasked: Tasked
) -> None:
    settings = {"quantization.optype_wise": {"Conv": _FLOAT}}
    with neural_compressor_in_forks() if name == "inc" else nullcontext():
        text = _text(*examine_engine(engine_named(name), tasked(given(silu_block()), settings)))
    assert "5 Conv: the settings keep it there" in text


def test_a_model_whose_layers_all_stay_in_float_is_told_why() -> None:
    kept = [Foreseen(name, name, "float", "the settings keep it there", designed=True) for name in ("Conv", "Gemm")]
    assert "No layer can compute on integers" in _text(examine_operators(kept))


def test_what_tuning_would_end_with_is_said_in_advance(
    given: Callable[[ModelProto], Sample], tasked: Tasked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModelError("this graph has no form", found="that", advice="give another one")

    monkeypatch.setattr(examined, "to_qlinear", refuse)
    operators, trial = examine_engine(engine_named("native"), tasked(given(silu_block())))
    (finding,) = trial.findings
    assert (operators.check.outcome, trial.check.outcome) == ("not checked", "wrong")
    assert finding.what == "Tuning would fail: this graph has no form."
    assert finding.advice == "Give another one."


def test_an_engine_that_is_not_installed_is_said_in_advance(
    given: Callable[[ModelProto], Sample], tasked: Tasked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    *_, trial = examine_engine(engine_named("inc"), tasked(given(silu_block())))
    assert trial.findings[0].what == "Tuning would fail: Neural Compressor cannot be used in this environment."
