from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from quantize.data.preprocessing import PRESETS
from quantize.errors import ConfigError, ModelError
from quantize.graph.identity import weights_sha256
from quantize.models.catalog.catalog import CATALOG_VARIABLE, catalog_entry_for, load_catalog
from quantize.models.prepare import prepare

Classifier = Callable[..., ModelProto]
Own = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_catalog_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CATALOG_VARIABLE, raising=False)


@pytest.fixture
def own(tmp_path: Path) -> Own:
    def write(text: str) -> Path:
        path = tmp_path / "catalog.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_zoos_nine_files_are_known_with_hash_size_and_address() -> None:
    zoo = [entry for entry in load_catalog() if entry.name.startswith("squeezenet")]

    assert len(zoo) == 9
    assert all(entry.sha256 and entry.bytes and entry.addresses and entry.licence for entry in zoo)
    assert len({entry.sha256 for entry in zoo}) == 9
    assert sorted(entry.opset or 0 for entry in zoo if entry.rebuilt_by) == [3, 6, 7, 8, 9, 12]
    assert all(bool(entry.unavailable) != bool(entry.rebuilt_by) for entry in zoo)


def test_published_figures_are_fractions_with_their_source() -> None:
    entry = load_catalog().named("squeezenet1.0-12")

    assert entry.published is not None
    assert (entry.published.top1, entry.published.top5) == (0.5685, 0.7987)
    assert entry.published.source


def test_squeezenet_is_recognised_by_its_weights_with_its_preset(squeezenet: Path) -> None:
    entry = catalog_entry_for(onnx.load(squeezenet))

    assert entry is not None
    assert (entry.name, entry.preset) == ("squeezenet1.0-12", "caffe")
    assert entry.chosen_preprocessing() == PRESETS["caffe"]


@pytest.mark.real
def test_efficientnet_is_recognised_as_given_and_as_prepared(efficientnet: Path, tmp_path: Path) -> None:
    prepared = prepare(efficientnet, tmp_path / "prepared.onnx").proto()

    for model in (onnx.load(efficientnet), prepared):
        entry = catalog_entry_for(model)
        assert entry is not None
        assert (entry.name, entry.preset) == ("efficientnet_lite0", "efficientnet_lite")


def test_unknown_weights_are_not_recognised(classifier: Classifier) -> None:
    assert catalog_entry_for(classifier()) is None


def test_a_file_is_recognised_by_its_hash_whatever_is_in_it(classifier: Classifier) -> None:
    published = load_catalog().named("squeezenet1.0-12-int8")

    assert catalog_entry_for(classifier(), sha256=published.sha256) == published


def test_a_name_and_a_files_name_lead_to_the_same_entry() -> None:
    catalog = load_catalog()

    assert catalog.named("squeezenet1.1-7.onnx") is catalog.named("squeezenet1.1-7")


def test_a_wrong_name_is_reported_with_the_nearest_right_one() -> None:
    with pytest.raises(ModelError, match=r"did you mean squeezenet1\.0-12"):
        load_catalog().named("squeeznet1.0-12")


def test_a_model_of_the_users_own_is_recognised(
    classifier: Classifier, own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own(
        f"models:\n  mine:\n    weights_sha256: {weights_sha256(classifier())}\n"
        "    preprocessing: {preset: imagenet, crop: 8}\n    published: {top1: 0.7, source: my paper}\n"
    )
    monkeypatch.setenv(CATALOG_VARIABLE, str(path))
    entry = catalog_entry_for(classifier())

    assert entry is not None
    assert (entry.name, entry.file, entry.preset) == ("mine", "mine.onnx", "imagenet")
    assert entry.published is not None
    assert entry.published.top1 == 0.7


def test_an_entry_of_the_users_own_comes_before_the_packaged_one(own: Own) -> None:
    catalog = load_catalog(own("models:\n  squeezenet1.0-12:\n    preprocessing: {preset: imagenet}\n"))

    assert catalog.named("squeezenet1.0-12").preset == "imagenet"
    assert catalog.named("squeezenet1.0-9").preset == "caffe"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("adresses: [x]", "did you mean `addresses`"),
        ("sha256: abc", "64 hexadecimal digits"),
        ("file: ../../etc/passwd.onnx", "without a folder"),
        ("opset: twelve", "a number"),
        ("addresses: ['https://example.org/mine.onnx']", "needs the file's sha256"),
        ("addresses: ['ftp://example.org/mine.onnx']\n    sha256: '" + "0" * 64 + "'", "no http or https address"),
        ("preprocessing: {preset: cafe}", "cafe"),
        ("published: {top1: 56.85, source: zoo}", "out of range"),
    ],
)
def test_a_wrong_entry_is_reported_with_its_line_and_key(own: Own, line: str, problem: str) -> None:
    path = own(f"models:\n  mine:\n    {line}\n")

    with pytest.raises(ConfigError) as error:
        load_catalog(path)
    assert problem in str(error.value)
    assert f"{path}:" in str(error.value)
    assert "models.mine" in str(error.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "models: [a]\n", "squeezenet: {}\n"])
def test_a_file_that_is_no_catalog_is_refused(own: Own, text: str) -> None:
    with pytest.raises(ConfigError, match=r"catalog\.yaml"):
        load_catalog(own(text))
