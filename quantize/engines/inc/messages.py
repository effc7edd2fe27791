"""Messages between the inc engine and its child process: one JSON object a line.

To the child: ``job`` once, then an ``answer`` for each candidate. From the child: ``log``, ``stage`` (what is being
done now), ``begin`` (a tuning configuration is about to be built), ``candidate`` (a model file awaits its answer),
``finished``, ``failed``. JSON rather than pickle: nothing that the child says is ever executed.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

Message = dict[str, Any]


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one message as a line of UTF-8 JSON and flush it.

    Raises:
        OSError: The other side is gone.
        ValueError: The message holds NaN or infinity.
    """
    stream.write(json.dumps(message, allow_nan=False, separators=(",", ":")).encode("utf-8") + b"\n")
    stream.flush()


def read_message(stream: BinaryIO) -> Message | None:
    """Return the next message, or None where the other side is gone (a half-written line counts as that)."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message: Message = json.loads(line)
    return message
