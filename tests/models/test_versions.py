"""Versions that the installed onnxruntime does not read are lowered where that changes nothing, or refused at once."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import ModelProto

from quantize.errors import ModelError
from quantize.models.session import open_session
from quantize.models.versions import known_opset, with_read_versions

Classifier = Callable[..., ModelProto]
_FUTURE = 99


def test_a_model_that_is_read_stays_as_it_is(classifier: Classifier) -> None:
    model = classifier()
    assert with_read_versions(model, "model.onnx") == (model, ())


def test_an_opset_that_onnxruntime_does_not_read_is_refused_with_what_to_do(classifier: Classifier) -> None:
    model = classifier()
    model.opset_import[0].version = _FUTURE
    with pytest.raises(ModelError, match="newer than the installed onnxruntime reads") as refused:
        with_read_versions(model, "model.onnx")
    assert refused.value.found == "opset 99"
    assert refused.value.advice is not None
    assert "lower opset" in refused.value.advice


def test_an_ir_version_that_onnxruntime_does_not_read_is_lowered_and_told(classifier: Classifier) -> None:
    model = classifier()
    model.ir_version = _FUTURE
    lowered, notes = with_read_versions(model, "model.onnx")
    assert lowered.ir_version < _FUTURE == model.ir_version
    assert "IR version 99" in notes[0]
    open_session(lowered.SerializeToString())


def test_models_are_written_at_an_opset_that_the_installed_onnx_knows() -> None:
    assert known_opset(12) == 12
    assert known_opset(_FUTURE) == onnx.defs.onnx_opset_version()
