"""What a target of fuzzing is, and when what it did is a finding."""

from __future__ import annotations

import re
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quantize.errors import QuantizeError

_LONGEST_MESSAGE = 40_000  # ten problems of 2,000 characters, and their facts
_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]")


@dataclass(frozen=True)
class Target:
    """A way in for files of strangers.

    Attributes:
        name: What the report calls it.
        what: What is read, in words.
        executions: How many the project asks for.
        seeds: Returns files that are read as they should be, to begin with.
        run: Reads a file's bytes; raises what it does not expect, or returns what was found. ``scratch`` is a folder
            to write files to.
        refused: Errors that say that the file is refused, besides ``QuantizeError``.
        megabytes: Memory of the process, at most.
        longest: Bytes of a file, at most.
    """

    name: str
    what: str
    executions: int
    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes, Path], str | None]
    refused: tuple[type[Exception], ...] = ()
    megabytes: int = 3072
    longest: int = 1 << 18


def finding(target: Target, content: bytes, scratch: Path) -> str | None:
    """Return what a target does wrong with a file, its kind on the first line; None where it does nothing wrong."""
    refusals: tuple[type[Exception], ...] = (QuantizeError, *target.refused)
    try:
        return target.run(content, scratch)
    except refusals as error:
        return harm_of(error)
    except Exception as error:  # noqa: BLE001 - it is what fuzzing looks for
        return fault(error)


def harm_of(error: Exception) -> str | None:
    """Return what is wrong with the message of a refusal, as ``finding`` does."""
    text = str(error)
    if isinstance(error, QuantizeError) and (_UNSEEN.search(text) or len(text) > _LONGEST_MESSAGE):
        return f"a message that is not harmless\n{text!r}"
    return None


def fault(error: Exception) -> str:
    """Return what an error is that no file may lead to, as ``finding`` does."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/quantize/" in frame.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "outside of quantize"
    return f"{type(error).__name__} at {place}\n{''.join(traceback.format_exception(error))}"


def scratch_folder() -> Path:
    """Return a new folder in memory, where the system has such a place."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="quantize-fuzzing-", dir=memory if memory.is_dir() else None))
