from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.errors import ExitCode

_NINE = [
    *(f"squeezenet1.0-{opset}" for opset in (3, 6, 7, 8, 9, 12)),
    "squeezenet1.0-12-int8",
    "squeezenet1.0-13-qdq",
    "squeezenet1.1-7",
]


def test_the_zoo_lists_all_nine_files_of_the_squeezenet_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo"]) is ExitCode.DONE
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    rows = {line.split()[0]: line.split() for line in out.splitlines()[3:] if line[:1].isalpha()}
    assert set(_NINE) <= set(rows)
    assert rows["squeezenet1.0-12"][1:] == ["12", "4.95", "caffe", "56.85/79.87", "either"]
    assert rows["efficientnet_lite0"][3] == "efficientnet_lite"
    said = " ".join(out.split())
    assert "BSD-2-Clause for open_nsfw; Apache-2.0 for the others." in said
    assert (rows["open_nsfw"][-1], rows["nsfwjs-inception_v3"][-1]) == ("wheel", "rebuild")
    assert rows["squeezenet1.0-12-int8"][-1] == "download"
    assert "cannot be rebuilt" in out


def test_the_zoo_as_json_has_hashes_and_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "--json"]) is ExitCode.DONE
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert all(len(entries[name]["sha256"]) == 64 and entries[name]["addresses"] for name in _NINE)


def test_entries_of_the_users_own_are_listed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.yaml").write_text("models: {mine-1: {title: Mine, opset: 13}}\n")
    monkeypatch.setenv("QUANTIZE_CATALOG", str(tmp_path / "own.yaml"))
    assert main(["zoo"]) is ExitCode.DONE
    out = capsys.readouterr().out
    assert out.splitlines()[3].startswith("mine-1")
    said = " ".join(out.split())
    assert "not said for mine-1;" in said
    assert "Apache-2.0 for the others." in said


def test_an_entry_of_the_users_own_is_fetched_from_the_mirror_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/zoo/mine-1.onnx" else 404)
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"content")

        def log_message(self, format: str, *args: object) -> None:
            pass

    known = f"{{title: Mine, sha256: {hashlib.sha256(b'content').hexdigest()}, bytes: 7}}"
    (tmp_path / "own.yaml").write_text(f"models: {{mine-1: {known}}}\n")
    monkeypatch.setenv("QUANTIZE_CATALOG", str(tmp_path / "own.yaml"))
    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        code = main(["fetch", "mine-1", f"--mirror=http://127.0.0.1:{server.server_port}/zoo"])
        server.shutdown()
        thread.join()
    assert code is ExitCode.DONE
    assert capsys.readouterr().out.splitlines()[-1] == "mine-1.onnx (7 bytes, source: zoo)"
    assert (tmp_path / "mine-1.onnx").read_bytes() == b"content"
