from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import psutil
import pytest
from onnx import ModelProto

from quantize.errors import ModelError
from quantize.models.artifact import ModelArtifact
from quantize.opening import prove as module
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.processes.child import ChildError
from tests.opening.strangers import KINDS, calling_functions, memory_bomb, model, zero_stride

SHORT, LONG = Bounds(seconds=2.0), Bounds(seconds=120.0)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[ModelProto], Path]:
    def save(made: ModelProto) -> Path:
        (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
        return tmp_path / "model.onnx"

    return save


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_does_harm_is_refused_in_one_message(kind: str, saved: Callable[[ModelProto], Path]) -> None:
    make, found = KINDS[kind]
    path = saved(make())
    with pytest.raises(ModelError) as caught:
        prove(path, SHORT if kind == "loop" else LONG, prepares=True)
    assert found in (caught.value.found or "")
    assert caught.value.where == str(path)
    assert caught.value.advice


def test_a_good_model_is_proven_once(saved: Callable[[ModelProto], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(model())
    prove(path, prepares=True)
    with monkeypatch.context() as patch:
        patch.setattr(module, "open_within", None)
        prove(path, prepares=True)
    with pytest.raises(ModelError):
        prove(saved(zero_stride()), prepares=True)  # in the same place, and not the same file


def test_a_model_with_functions_that_end_is_taken(saved: Callable[[ModelProto], Path]) -> None:
    path = saved(calling_functions(5))
    prove(path, prepares=True)
    assert ModelArtifact.load(path).contract.classes == 4


def test_what_the_command_says_by_itself_is_left_to_it(saved: Callable[[ModelProto], Path]) -> None:
    made = model()
    made.graph.output.append(onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, None))
    made.graph.input.append(onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, [1]))
    prove(saved(made), prepares=True)


def test_more_memory_is_allowed_where_it_is_asked_for(saved: Callable[[ModelProto], Path]) -> None:
    path = saved(memory_bomb())
    with pytest.raises(ModelError, match="too much memory") as caught:
        prove(path, Bounds(memory_bytes=10**9))
    assert "--max_memory" in str(caught.value)
    assert Bounds(memory_bytes=10**9).memory_for(10**12) == 10**9
    assert Bounds().memory_for(10**9) == 8 * 10**9


def fails(_: ModelProto) -> ModelProto:
    raise IndexError("list index out of range")


def test_what_fails_on_a_good_model_is_a_bug_and_on_a_damaged_one_its_damage(
    saved: Callable[[ModelProto], Path],
) -> None:
    with pytest.raises(ChildError, match="IndexError: list index out of range"):
        prove(saved(model()), prepares=True, form=fails)
    damaged = model()
    damaged.graph.node[1].op_type = "Rely"
    with pytest.raises(ModelError, match="not valid ONNX") as caught:
        prove(saved(damaged), prepares=True, form=fails)
    assert "Rely" in (caught.value.found or "")


def test_nothing_is_left_running_or_lying_around(saved: Callable[[ModelProto], Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        prove(saved(KINDS["loop"][0]()), Bounds(seconds=0.5))
    server = [child for child in psutil.Process().children() if "serve_forks" in " ".join(child.cmdline())]
    assert len(server) == 1
    assert not server[0].children()
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
