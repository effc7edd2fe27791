"""Files that hypothesis makes of seeds, where there is no atheris to guide it by coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

_AT_ONCE = 1000
"""Examples that hypothesis remembers, to try none twice."""

_PLACES = 1 << 16
_LENGTHS = (1, 2, 4, 8, 64)
_EXTREMES = (b"\x00", b"\xff", b"\x7f", b"\x80")

_Change = tuple[int, str, bytes, int]


def changed_files(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy for files that are seeds after one to eight changes, and for short ones of any bytes.

    Args:
        seeds: Files that are read as they should be.
    """
    change = st.tuples(
        st.integers(0, _PLACES - 1),
        st.sampled_from(["flip", "set", "set", "cut", "double", "insert", "end"]),
        st.sampled_from(_EXTREMES) | st.binary(min_size=1, max_size=1),
        st.sampled_from(_LENGTHS),
    )
    changed = st.builds(changed_file, st.sampled_from(list(seeds)), st.lists(change, min_size=1, max_size=8))
    return changed | st.binary(max_size=64)


def changed_file(content: bytes, changes: Sequence[_Change]) -> bytes:
    """Return a file after changes.

    Args:
        content: The file.
        changes: Where (in parts of its length of 2^16), what, with which byte, and of how many bytes.
    """
    made = bytearray(content)
    for part, kind, byte, length in changes:
        place = part * len(made) // _PLACES
        if kind == "flip" and made:
            made[place] ^= 1 << byte[0] % 8
        elif kind == "set":
            made[place : place + length] = byte * length
        elif kind == "cut":
            del made[place : place + length]
        elif kind == "double":
            made[place:place] = made[place : place + length]
        elif kind == "insert":
            made[place:place] = byte * length
        elif kind == "end":
            del made[max(place, len(made) // 2) :]
    return bytes(made)


def run_on_changed_files(seeds: Sequence[bytes], run: Callable[[bytes], None], executions: int, start: int) -> None:
    """Run a function on files made of seeds, at least so often.

    Args:
        seeds: See ``changed_files``.
        run: Takes a file; raises nothing.
        executions: How often.
        start: Of the numbers that hypothesis draws by.
    """
    quick = settings(
        max_examples=min(_AT_ONCE, executions),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for number in range(start, start + -(-executions // _AT_ONCE)):
        seed(number)(quick(given(changed_files(seeds))(lambda content: run(content))))()
