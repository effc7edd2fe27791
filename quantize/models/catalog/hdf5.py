"""Read the weights in a Keras file: the part of HDF5 that h5py writes by default.

That is version 0 of the superblock, groups of symbol tables, and uncompressed arrays in one piece. Source: HDF5 File
Format Specification 3.0, https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html. It is for files whose bytes are proven by
a hash: a file that was made to mislead may keep it busy for long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ROOT_HEADER = 24 + 4 * 8 + 8  # superblock up to the root's symbol table entry, whose second field is the header
_SPACE, _TYPE, _LAYOUT, _CONTINUATION, _GROUP = 0x01, 0x03, 0x08, 0x10, 0x11
_IN_ONE_PIECE = b"\x03\x01"  # version, class
_FLOAT32 = bytes.fromhex("11201f0004000000")  # class and version, bit field, size: IEEE 754, little-endian
_MOST_DEPTH = 16


def read_arrays(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the arrays in a file by their path, such as ``conv1/conv1_W:0``.

    Args:
        content: The file's bytes.

    Raises:
        ValueError: It is no HDF5 file, is damaged, or holds what this reader does not know.
    """
    if not content.startswith(_SIGNATURE) or content[8:9] != b"\x00":
        raise ValueError("no HDF5 file with a superblock of version 0")
    file = _File(content)
    return dict(file.arrays(file.number(_ROOT_HEADER, 8), ""))


@dataclass(frozen=True)
class _File:
    content: bytes

    def number(self, place: int, size: int) -> int:
        """Return an unsigned integer."""
        return int.from_bytes(self.piece(place, size), "little")

    def piece(self, place: int, size: int) -> bytes:
        """Return some bytes."""
        if place + size > len(self.content):
            raise ValueError(f"the HDF5 file is damaged: it has no {size:,} bytes at {place:,}")
        return self.content[place : place + size]

    def arrays(self, header: int, path: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield the arrays of the object with this header, and of those in it, by path."""
        if path.count("/") > _MOST_DEPTH:
            raise ValueError("the HDF5 file holds groups in themselves")
        messages = dict(self._messages(header))
        if _GROUP in messages:
            tree, heap = (self.number(messages[_GROUP] + offset, 8) for offset in (0, 8))
            names = self.number(heap + 24, 8)
            for name, member in self._members(tree, names):
                yield from self.arrays(member, f"{path}/{name}" if path else name)
        else:
            yield path, self._array(messages, path)

    def _messages(self, header: int) -> Iterator[tuple[int, int]]:
        """Yield (kind, place of the data) of an object's header messages, version 1."""
        blocks = [(header + 16, self.number(header + 8, 4))]
        while blocks:
            place, size = blocks.pop(0)
            end = place + size
            while place < end:
                kind, length = self.number(place, 2), self.number(place + 2, 2)
                if kind == _CONTINUATION:
                    blocks.append((self.number(place + 8, 8), self.number(place + 16, 8)))
                yield kind, place + 8
                place += 8 + length

    def _members(self, node: int, names: int) -> Iterator[tuple[str, int]]:
        """Yield (name, header) of a group's members, from its B-tree of version 1 or one of the symbol tables."""
        if self.content[node : node + 4] == b"SNOD":
            for entry in range(node + 8, node + 8 + 40 * self.number(node + 6, 2), 40):
                start = names + self.number(entry, 8)
                yield (
                    self.content[start : self.content.index(b"\x00", start)].decode("ascii"),
                    self.number(entry + 8, 8),
                )
        elif self.content[node : node + 4] == b"TREE":
            for child in range(self.number(node + 6, 2)):
                yield from self._members(self.number(node + 32 + 16 * child, 8), names)
        else:
            raise ValueError("the HDF5 file is damaged: neither B-tree nor symbol table")

    def _array(self, messages: dict[int, int], path: str) -> NDArray[np.float32]:
        space, kind, layout = (messages.get(message) for message in (_SPACE, _TYPE, _LAYOUT))
        if space is None or kind is None or layout is None:
            raise ValueError(f"{path}: neither a group nor an array")
        if self.piece(kind, 8) != _FLOAT32 or self.piece(layout, 2) != _IN_ONE_PIECE:
            raise ValueError(f"{path}: no array of float32 in one piece")
        shape = [self.number(space + 8 + 8 * axis, 8) for axis in range(self.number(space + 1, 1))]
        values = self.piece(self.number(layout + 2, 8), 4 * math.prod(shape))
        return np.frombuffer(values, "<f4").reshape(shape)
