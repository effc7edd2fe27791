"""Call a function in a child process, within limits on time and memory.

For what a stranger's model can do to the process that opens it: a division by zero, a crash in native code, shape
inference that never ends, 13 GB of constants.
"""

from __future__ import annotations

import base64
import pickle  # nosec B403
import time
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from quantize import errors
from quantize.errors import QuantizeError
from quantize.processes.child import ChildError, ChildProcess
from quantize.processes.parent import Message, Parent

_TARGET = "quantize.processes.calls:serve_call"
_FACTS = ("problem", "where", "found", "expected", "advice")

Argument = TypeVar("Argument")


def call_in_child(
    function: Callable[[Argument], Any], argument: Argument, *, seconds: float | None, memory_bytes: int | None
) -> Any:
    """Return ``function(argument)``, computed in a child process.

    Args:
        function: Of a module that the child can import; returns a JSON value.
        argument: Picklable.
        seconds: How long it may take, the start of the child (about half a second) included; None: as long as it
            takes.
        memory_bytes: How large the child may grow; None: as large as it gets.

    Raises:
        QuantizeError: The function raised it.
        ChildError: The function raised something else, the child died, or a bound was reached.
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    deadline = None if seconds is None else time.monotonic() + seconds
    with ChildProcess(_TARGET, name=name, memory_bytes=memory_bytes) as child:
        child.send({"function": to_text(function), "argument": to_text(argument)})
        answer = child.receive(deadline)
    return result_of(answer, name)


def serve_call(parent: Parent) -> None:
    """Make one call for ``call_in_child``."""
    message = parent.receive()
    function, argument = from_text(message["function"]), from_text(message["argument"])
    answer: Message
    try:
        answer = {"result": function(argument)}
    except Exception as error:  # noqa: BLE001 - raised in the parent
        answer = raised(error)
    parent.send(answer)


def raised(error: BaseException) -> Message:
    """Return what a call raised, as a message: an error for the user with its facts, all else with its traceback."""
    if isinstance(error, QuantizeError):
        kind = next(base.__name__ for base in type(error).__mro__ if base.__module__ == errors.__name__)
        return {"error": kind, "facts": {name: getattr(error, name) for name in _FACTS}}
    return {"raised": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}


def result_of(answer: Message, child: str) -> Any:
    """Return the result in a call's answer.

    Raises:
        QuantizeError: The function raised it.
        ChildError: The function raised something else.
    """
    if "error" in answer:
        raise getattr(errors, answer["error"])(**answer["facts"])
    if "raised" in answer:
        raise ChildError("raised", answer["raised"], answer["traceback"], child=child, stage=answer.get("stage"))
    return answer["result"]


def to_text(value: object) -> str:
    """Return a pickled value as a message can hold it."""
    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def from_text(text: str) -> Any:
    """Return the value of ``to_text``."""
    return pickle.loads(base64.b64decode(text))  # noqa: S301 - of this program's own processes  # nosec B301
