from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from quantize.models.download.download import NotDownloadedError, download
from quantize.models.download.resuming import Patience
from quantize.provenance import sha256_bytes

CONTENT = b"\x08" + bytes(range(256)) * 2000
SHA256 = sha256_bytes(CONTENT)
IMPATIENT = Patience(connect_seconds=2.0, stall_seconds=0.3, retries=0)
ONCE_MORE = Patience(connect_seconds=2.0, stall_seconds=0.3, retries=1)
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + SHA256.encode() + b"\nsize 512001\n"


@dataclass
class Server:
    address: str
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def at(self, behaviour: str) -> str:
        return f"{self.address}/{behaviour}/model.onnx"

    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.requests]


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        record: Server = self.server.record
        behaviour = self.path.split("/")[1]
        asked = self.headers.get("Range")
        first = not any(path == self.path for path, _ in record.requests)
        record.requests.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        getattr(self, f"serve_{behaviour}", self.serve_missing)(start, first, record)

    def serve_well(self, start: int, first: bool, record: Server) -> None:
        if start >= len(CONTENT):
            self.begin(416, 0)
            return
        self.begin(206 if start else 200, len(CONTENT) - start, start)
        self.wfile.write(CONTENT[start:])

    def serve_half(self, start: int, first: bool, record: Server) -> None:
        if not first:
            self.serve_well(start, first, record)
            return
        self.begin(200, len(CONTENT))
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        self.close_connection = True

    def serve_stalling(self, start: int, first: bool, record: Server) -> None:
        if not first:
            self.serve_well(start, first, record)
            return
        self.begin(200, len(CONTENT))
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        self.wfile.flush()
        record.release.wait(20)
        self.close_connection = True

    def serve_silence(self, start: int, first: bool, record: Server) -> None:
        record.release.wait(20)

    def serve_less(self, start: int, first: bool, record: Server) -> None:
        if start:
            self.serve_well(start, first, record)
            return
        self.begin(200, len(CONTENT) - 1000)
        self.wfile.write(CONTENT[:-1000])

    def serve_more(self, start: int, first: bool, record: Server) -> None:
        self.begin(200, len(CONTENT) + 1000)
        self.wfile.write(CONTENT)
        self.close_connection = True

    def serve_everything(self, start: int, first: bool, record: Server) -> None:
        self.begin(200, len(CONTENT))
        self.wfile.write(CONTENT)

    def serve_endless(self, start: int, first: bool, record: Server) -> None:
        self.send_response(200)
        self.end_headers()
        while not record.release.is_set():
            self.wfile.write(CONTENT)
        self.close_connection = True

    def serve_unmeasured(self, start: int, first: bool, record: Server) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "many")
        self.end_headers()
        self.wfile.write(CONTENT)
        self.close_connection = True

    def serve_moved(self, start: int, first: bool, record: Server) -> None:
        self.send_response(302)
        self.send_header("Location", "/well/model.onnx")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve_circle(self, start: int, first: bool, record: Server) -> None:
        self.send_response(302)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve_wrong(self, start: int, first: bool, record: Server) -> None:
        self.begin(200, len(CONTENT))
        self.wfile.write(CONTENT[::-1].replace(b"\x80", b"\x08", 1)[: len(CONTENT)])

    def serve_pointer(self, start: int, first: bool, record: Server) -> None:
        self.begin(200, len(LFS_POINTER))
        self.wfile.write(LFS_POINTER)

    def serve_page(self, start: int, first: bool, record: Server) -> None:
        page = b"<!DOCTYPE html><title>Log in</title>"
        self.begin(200, len(page))
        self.wfile.write(page)

    def serve_busy(self, start: int, first: bool, record: Server) -> None:
        if first:
            self.begin(503, 0)
        else:
            self.serve_well(start, first, record)

    def serve_missing(self, start: int, first: bool, record: Server) -> None:
        self.begin(404, 0)

    def begin(self, status: int, length: int, start: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up, as tests provoke that."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    listening = QuietServer(("127.0.0.1", 0), Handler)
    record = Server(f"http://127.0.0.1:{listening.server_port}")
    listening.record = record  # type: ignore[attr-defined]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield record
    record.release.set()
    listening.shutdown()
    thread.join()
    listening.server_close()


Fetch = Callable[..., Path]


@pytest.fixture
def get(server: Server, tmp_path: Path) -> Fetch:
    def fetch(*behaviours: str, patience: Patience = IMPATIENT, size: int | None = len(CONTENT)) -> Path:
        destination = tmp_path / "cache" / "model.onnx"
        download([server.at(name) for name in behaviours], destination, SHA256, size=size, patience=patience)
        return destination

    return fetch


def test_a_file_is_downloaded_once(get: Fetch, server: Server) -> None:
    get("well")
    path = get("well")

    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_damaged_file_in_the_cache_is_downloaded_again(get: Fetch) -> None:
    get("well").write_bytes(b"damaged")

    assert get("well").read_bytes() == CONTENT


def test_redirects_are_followed(get: Fetch) -> None:
    assert get("moved").read_bytes() == CONTENT


def test_redirects_in_a_circle_end(get: Fetch) -> None:
    with pytest.raises(NotDownloadedError, match="redirects"):
        get("circle")


@pytest.mark.parametrize("behaviour", ["half", "stalling", "less"])
def test_a_broken_download_is_continued_where_it_broke_off(get: Fetch, server: Server, behaviour: str) -> None:
    assert get(behaviour, patience=ONCE_MORE).read_bytes() == CONTENT

    first, second = server.ranges()
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").removesuffix("-")) > 0


def test_a_later_call_continues_what_an_earlier_one_left(get: Fetch, server: Server) -> None:
    with pytest.raises(NotDownloadedError):
        get("half")

    assert get("well").read_bytes() == CONTENT
    assert server.ranges()[-1] is not None


def test_another_address_continues_what_the_first_one_began(get: Fetch, server: Server) -> None:
    assert get("half", "well").read_bytes() == CONTENT
    assert server.ranges()[-1] is not None


def test_a_server_that_cannot_continue_gives_the_whole_file_again(get: Fetch) -> None:
    assert get("half", "everything").read_bytes() == CONTENT


def test_a_file_shorter_than_its_server_announced_is_complete(get: Fetch) -> None:
    assert get("more").read_bytes() == CONTENT


def test_a_server_that_never_answers_is_left_for_the_next_address(get: Fetch) -> None:
    assert get("silence", "well").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(get: Fetch, server: Server) -> None:
    assert get("busy", patience=ONCE_MORE).read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("wrong", "other bytes than the published ones"),
        ("pointer", "Git LFS pointer"),
        ("page", "HTML"),
        ("endless", "other bytes than the published ones"),
        ("missing", "HTTP 404"),
    ],
)
def test_what_is_not_the_file_is_refused_at_once_and_leaves_nothing(
    get: Fetch, server: Server, tmp_path: Path, behaviour: str, reason: str
) -> None:
    with pytest.raises(NotDownloadedError, match=reason):
        get(behaviour, patience=ONCE_MORE)

    assert len(server.requests) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["model.onnx.lock"]


def test_wrong_bytes_at_one_address_do_not_spoil_the_next(get: Fetch) -> None:
    assert get("wrong", "pointer", "missing", "well").read_bytes() == CONTENT


def test_the_rest_of_another_file_is_noticed_and_the_download_starts_again(get: Fetch, tmp_path: Path) -> None:
    part = tmp_path / "cache" / f".model.onnx.{SHA256[:12]}.part"
    part.parent.mkdir()
    part.write_bytes(b"\x08 something else")

    assert get("well", patience=ONCE_MORE).read_bytes() == CONTENT


def test_every_address_that_failed_is_reported_with_its_reason(get: Fetch, server: Server) -> None:
    with pytest.raises(NotDownloadedError) as failure:
        get("missing", "pointer")

    assert [refusal.address for refusal in failure.value.refusals] == [server.at("missing"), server.at("pointer")]
    assert "model.onnx" in str(failure.value.advice)


def test_a_host_that_does_not_exist_is_reported_without_python_objects(tmp_path: Path) -> None:
    with pytest.raises(NotDownloadedError) as failure:
        download(["http://127.0.0.1:9/model.onnx"], tmp_path / "model.onnx", SHA256, patience=IMPATIENT)

    assert "refused" in str(failure.value)
    assert "object at" not in str(failure.value)


def test_a_slow_server_is_given_up(get: Fetch) -> None:
    hurried = Patience(stall_seconds=5.0, retries=0, grace_seconds=-1e9)

    with pytest.raises(NotDownloadedError, match="too slow"):
        get("well", patience=hurried)


def test_progress_is_reported_in_bytes(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        seen.append((done, total))

    download(
        [server.at("well")], tmp_path / "model.onnx", SHA256, size=len(CONTENT), patience=IMPATIENT, progress=progress
    )

    assert seen[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_length_that_is_no_number_is_none(get: Fetch, size: int | None) -> None:
    assert get("unmeasured", size=size).read_bytes() == CONTENT


def test_a_broken_download_of_unknown_size_is_continued(get: Fetch) -> None:
    assert get("half", size=None, patience=ONCE_MORE).read_bytes() == CONTENT


def test_a_file_of_unknown_size_is_proven_by_its_hash_alone(get: Fetch) -> None:
    assert get("well", size=None).read_bytes() == CONTENT
