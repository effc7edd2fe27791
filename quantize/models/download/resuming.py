"""One attempt to download a file over HTTP, which continues where an earlier attempt stopped."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from quantize.errors import ModelError
from quantize.models.reading import LARGEST_BYTES, refuse_other_formats
from quantize.progress import Progress
from quantize.provenance import sha256_file


@dataclass(frozen=True)
class Patience:
    """Times and counts for one download.

    Attributes:
        connect_seconds: Until the server accepts a connection.
        stall_seconds: Until it sends the next bytes.
        retries: How often a broken download is continued, at each address.
        grace_seconds: What every download may take.
        slowest_rate: Bytes a second below which a larger one is given up.
    """

    connect_seconds: float = 5.0
    stall_seconds: float = 15.0
    retries: int = 2
    grace_seconds: float = 60.0
    slowest_rate: float = 20_000.0

    def longest_seconds(self, size: int | None) -> float:
        """Return how long a download of this many bytes may take in all; None if the number is not known."""
        return self.grace_seconds + (size or 100_000_000) / self.slowest_rate


_CHUNK = 1 << 16
_BEGINNING = 4096
_PARTIAL, _RANGE_NOT_SATISFIABLE = 206, 416
_AGAIN_LATER = (408, 425, 429)
_LENGTH = re.compile(r"[0-9]{1,18}")


class GivenUp(Exception):  # noqa: N818 - not an error of ours: the next address may have the file
    """This address will not give the file however often it is asked (pooch repeats after other errors only)."""


class ResumingDownloader:
    """A downloader for pooch: it keeps what it got in a ``.part`` file and asks for the rest (HTTP Range).

    The part is proven by hash before it is handed over, so that it does not matter which address gave which bytes.
    """

    def __init__(self, name: str, sha256: str, size: int | None, patience: Patience, progress: Progress) -> None:
        self._name = name
        self._sha256 = sha256
        self._size = size
        self._patience = patience
        self._progress = progress

    def __call__(self, url: str, output_file: str, shelf: Any) -> None:
        """Download ``url`` to ``output_file``; pooch gives itself as the third argument.

        Raises:
            GivenUp: It is of no use to ask this address again.
            requests.RequestException: The connection broke; what came is kept.
            ValueError: What came is of no use and is thrown away; another attempt begins anew.
        """
        part = Path(shelf.path) / f".{self._name}.{self._sha256[:12]}.part"
        offset = part.stat().st_size if part.is_file() else 0
        if not (offset and self._is_whole(part)):
            announced = self._receive(url, part, offset)
            self._check(part, offset, self._size or announced)
        part.replace(output_file)

    def _receive(self, url: str, part: Path, offset: int) -> int:
        """Write what the server sends behind ``offset``, and return how many bytes it announced in all (0: none)."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
        waiting = (self._patience.connect_seconds, self._patience.stall_seconds)
        try:
            response = requests.get(url, stream=True, timeout=waiting, headers=headers)
        except requests.RequestException as error:
            raise GivenUp(error) from error
        with response:
            self._refuse_status(response, part, offset)
            begin = offset if response.status_code == _PARTIAL else 0
            # A wrong length is for the hash to judge; urllib3 would throw the last bytes away.
            response.raw.enforce_content_length = False
            self._write(response, part, begin)
            length = response.headers.get("Content-Length", "")
            return begin + int(length) if _LENGTH.fullmatch(length) else 0

    def _refuse_status(self, response: requests.Response, part: Path, offset: int) -> None:
        status = response.status_code
        misplaced = status == _PARTIAL and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if status == _RANGE_NOT_SATISFIABLE or misplaced:
            part.unlink(missing_ok=True)
            raise ValueError(f"the server does not continue after {offset:,} bytes")
        if 400 <= status < 500 and status not in _AGAIN_LATER:
            raise GivenUp(f"HTTP {status} {response.reason}")
        response.raise_for_status()

    def _write(self, response: requests.Response, part: Path, offset: int) -> None:
        most = self._size or LARGEST_BYTES
        deadline = time.monotonic() + self._patience.longest_seconds(most if self._size else None)
        done = offset
        with part.open("ab" if offset else "wb") as stream:
            for chunk in response.iter_content(_CHUNK):
                stream.write(chunk)
                done += len(chunk)
                self._progress(f"download {self._name}", min(done, most), self._size)
                if done > most:
                    break
                if time.monotonic() > deadline:
                    raise GivenUp(f"too slow: {done - offset:,} bytes in {self._patience.longest_seconds(most):.0f} s")

    def _check(self, part: Path, offset: int, expected: int) -> None:
        """Refuse a part that is not the file; keep it only where more of the same may follow."""
        if self._is_whole(part):
            return
        size = part.stat().st_size
        with part.open("rb") as stream:
            beginning = stream.read(_BEGINNING)
        try:
            refuse_other_formats(beginning, self._name)
        except ModelError as error:
            part.unlink()
            raise GivenUp(f"{error.problem} ({error.found})" if error.found else error.problem) from error
        if size < expected:
            raise requests.ConnectionError(f"the server ended after {size:,} of {expected:,} bytes")
        actual = sha256_file(part)
        part.unlink()
        if offset:
            raise ValueError("the rest does not belong to what was there")
        raise GivenUp(f"other bytes than the published ones ({size:,} bytes, sha256 {actual})")

    def _is_whole(self, part: Path) -> bool:
        return self._size in (None, part.stat().st_size) and sha256_file(part) == self._sha256
