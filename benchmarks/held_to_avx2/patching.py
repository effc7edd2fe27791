"""Replacing the CPUID instructions of a shared library by UD2, which a signal handler answers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CPUID, _UD2 = b"\x0f\xa2", b"\x0f\x0b"


@dataclass(frozen=True)
class Segment:
    """A part of the file that is loaded: ``size`` bytes at ``offset`` of the file, to ``address``."""

    offset: int
    address: int
    size: int


def patch(library: Path) -> int:
    """Replace every CPUID instruction of a library, in place, and return how many there were.

    Raises:
        ValueError: The disassembler names a place that holds another instruction.
    """
    content = bytearray(library.read_bytes())
    segments = list(_segments(library))
    places = [_offset(address, segments) for address in _addresses(library)]
    for place in places:
        if bytes(content[place : place + 2]) != _CPUID:
            raise ValueError(f"{library} holds no CPUID at {place:#x}")
        content[place : place + 2] = _UD2
    if places:
        library.unlink()  # the copy may be a link to a file that others use
        library.write_bytes(content)
    return len(places)


def _addresses(library: Path) -> Iterator[int]:
    listing = _output("objdump", "-d", "--no-show-raw-insn", str(library))
    for line in listing.splitlines():
        if re.search(r"\tcpuid\b", line):
            yield int(line.split(":")[0].strip(), 16)


def _segments(library: Path) -> Iterator[Segment]:
    for line in _output("readelf", "-lW", str(library)).splitlines():
        words = line.split()
        if words[:1] == ["LOAD"]:
            yield Segment(offset=int(words[1], 16), address=int(words[2], 16), size=int(words[4], 16))


def _offset(address: int, segments: list[Segment]) -> int:
    for segment in segments:
        if segment.address <= address < segment.address + segment.size:
            return address - segment.address + segment.offset
    raise ValueError(f"no part of the file is loaded to {address:#x}")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
