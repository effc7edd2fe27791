"""The cells of the tables: a committed JSON file each, which a rerun leaves as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from measured_on import this_cpu
from pydantic import BaseModel, ConfigDict

from quantize.files import replaced


class Near(BaseModel):
    """How near a contender's model is to fp32, on the evaluation images.

    Attributes:
        network: Name of the network.
        contender: Name of the contender; ``fp32`` for the baseline itself.
        reason: Why there is no model, or what was wrong with making it.
        seconds: That making it took.
        file_sha256: Hash of the file.
        fp32_sha256: Hash of the fp32 model that all others got.
        images: Number of evaluation images.
        top1: Accuracy, a fraction, ties in expectation; None without truth.
        agreement: Share of images with fp32's top-1.
        ties: Share of images with more than one top class.
        kl: Mean KL(fp32 || contender), nats.
        decibel: Median over the images of the signal-to-noise ratio of the scores.
        int8_share: Share of multiply-adds on integers; None where that cannot be read from the file.
        versions: Of the packages that made it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    contender: str
    reason: str | None = None
    seconds: float | None = None
    file_sha256: str | None = None
    fp32_sha256: str
    images: int
    top1: float | None = None
    agreement: float | None = None
    ties: float | None = None
    kl: float | None = None
    decibel: float | None = None
    int8_share: float | None = None
    versions: dict[str, str] = {}


class Timed(BaseModel):
    """How fast a contender's model is, from one sitting with all others of its network.

    Attributes:
        network: Name of the network.
        contender: Name of the contender.
        threads: Of every session.
        nanoseconds: Median time of an image.
        ratio: fp32's time over the contender's, the median of paired ratios; None for fp32.
        low: Lower end of its 95 % interval.
        high: Upper end.
        rounds: Paired values.
        file_sha256: Hash of the file that was timed.
        machine: CPU, cores, instruction sets, runtimes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    contender: str
    threads: int
    nanoseconds: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int | None = None
    file_sha256: str
    machine: dict[str, str]


class Cells:
    """The cells of one CPU in a folder of its own."""

    def __init__(self, folder: Path, cpu: str | None = None) -> None:
        self.folder = folder / (cpu or this_cpu().folder)

    def near(self, network: str, contender: str) -> Near | None:
        """Return a cell that is there."""
        path = self.folder / network / f"{contender}.json"
        return Near.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None

    def timed(self, network: str, contender: str, threads: int) -> Timed | None:
        """Return a cell that is there."""
        path = self.folder / network / f"{contender}-{threads}.json"
        return Timed.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None

    def write(self, cell: Near | Timed) -> None:
        """Write a cell."""
        ending = f"-{cell.threads}" if isinstance(cell, Timed) else ""
        path = self.folder / cell.network / f"{cell.contender}{ending}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as temporary:
            text = json.dumps(json.loads(cell.model_dump_json(exclude_none=True)), indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")

    def forget(self, network: str, contender: str) -> None:
        """Remove all cells of a contender's model of a network."""
        for path in [*(self.folder / network).glob(f"{contender}.json"), *self._timed(network, contender)]:
            path.unlink()

    def _timed(self, network: str, contender: str) -> list[Path]:
        return sorted((self.folder / network).glob(f"{contender}-[0-9]*.json"))

    def networks(self) -> Iterator[str]:
        """Yield the networks of which there is a cell."""
        yield from sorted(path.name for path in self.folder.iterdir() if path.is_dir()) if self.folder.is_dir() else ()

    def threads(self, network: str) -> list[int]:
        """Return the numbers of threads that a network was timed with."""
        return sorted(int(path.stem.rpartition("-")[2]) for path in self._timed(network, "fp32"))
