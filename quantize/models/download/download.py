"""Download a file from the first address that has it: verified by hash, resumed after interruptions."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from filelock import FileLock

from quantize.errors import ModelError
from quantize.models.download.resuming import GivenUp, Patience, ResumingDownloader
from quantize.progress import Progress, silent


@dataclass(frozen=True)
class Refusal:
    """Why one address did not give the file."""

    address: str
    reason: str

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"


class NotDownloadedError(ModelError):
    """No address gave the file.

    Attributes:
        refusals: Why, address by address.
    """

    def __init__(self, problem: str, refusals: Sequence[Refusal], *, expected: str, advice: str) -> None:
        super().__init__(problem, found="; ".join(map(str, refusals)), expected=expected, advice=advice)
        self.refusals = tuple(refusals)


def download(
    addresses: Sequence[str],
    destination: Path,
    sha256: str,
    *,
    size: int | None = None,
    patience: Patience | None = None,
    progress: Progress = silent,
) -> None:
    """Download a file, unless it is there already.

    Proxies are taken from the environment (``HTTPS_PROXY`` and so on). What broke off is continued, at the same address
    or at the next one, now or in a later call. Several processes may ask at once: one downloads, the others wait.

    Args:
        addresses: Tried in this order.
        destination: The file; it is there only when it has the right bytes.
        sha256: What they have to hash to.
        size: Their number, where it is known.
        patience: How long to wait and how often to try.
        progress: Called with the number of bytes.

    Raises:
        NotDownloadedError: No address gave the file.
    """
    patience = patience or Patience()
    pooch.get_logger().setLevel(logging.CRITICAL)
    destination.parent.mkdir(parents=True, exist_ok=True)
    refusals: list[Refusal] = []
    with FileLock(f"{destination}.lock"):
        for address in addresses:
            shelf = pooch.create(
                path=destination.parent,
                base_url="",
                registry={destination.name: f"sha256:{sha256}"},
                urls={destination.name: address},
                retry_if_failed=patience.retries,
            )
            downloader = ResumingDownloader(destination.name, sha256, size, patience, progress)
            try:
                shelf.fetch(destination.name, downloader=downloader)
            except (GivenUp, requests.RequestException, ValueError) as error:
                refusals.append(Refusal(address, _reason(error)))
            else:
                return
    raise NotDownloadedError(
        f"{destination.name} could not be downloaded",
        refusals,
        expected=f"a file with sha256 {sha256}",
        advice=f"check the network (HTTPS_PROXY), name a mirror (--mirror), or put the file at {destination}",
    )


def _reason(error: BaseException) -> str:
    """Return what went wrong at the bottom of a network error, without the objects that its text names."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(inner, BaseException):
        return _reason(inner)
    return re.sub(r"^\S*Connection\S*\(.*?\): ", "", str(error))
