"""Reads what the child process sends: forwards its log, and turns its end into an error that names the stage.

To the child: ``job`` once, then an ``answer`` for each candidate. From the child: ``log``, ``stage`` (what is being
done now), ``begin`` (a tuning configuration is about to be built), ``candidate`` (a model file awaits its answer),
``finished``, ``failed``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from quantize.engines.inc.job import not_importable
from quantize.errors import EngineError
from quantize.processes.child import ChildError, ChildProcess
from quantize.processes.parent import Message
from quantize.processes.refusal import raise_refusal

_LOGGER = logging.getLogger("quantize.engines.inc.tuner")

_NOISE = ("mpi4py", "not a plain function", "Find evaluated tuning config")
_EMPTY_DUMP = ("{", "}")


class TimeIsUpError(Exception):
    """The deadline passed before the child process said anything more."""


class Conversation:
    """What the child process says, one event at a time.

    Args:
        worker: The process.
        folder: Where it writes.
        job: What it is to do.
        watch: Called with its id when it has built a candidate.

    Attributes:
        stage: What it said it was doing last.
    """

    def __init__(
        self, worker: ChildProcess, folder: Path, job: Message, watch: Callable[[int], None] | None = None
    ) -> None:
        self._worker = worker
        self._folder = folder
        self._watch = watch
        self.stage = "start"
        self._send(job)

    def answer(self, *, met: bool, margin: float) -> None:
        """Answer the candidate that it asked about.

        Args:
            met: Whether the candidate meets the criterion.
            margin: Its metric minus the lowest that passes.
        """
        self._send({"kind": "answer", "met": met, "margin": margin})

    def next_event(self, deadline: float | None) -> Message:
        """Return its next ``begin``, ``candidate`` or ``finished``.

        Raises:
            TimeIsUpError: ``deadline``, a value of ``time.monotonic()``, passed.
            EngineError: It failed or ended: names the stage and what happened.
            StorageError: The system did not let it write, or its disk is full.
        """
        while True:
            try:
                message = self._worker.receive(deadline)
            except ChildError as error:
                if error.reason == "time":
                    raise TimeIsUpError from None
                raise_refusal(None, self._folder)
                raise self._crashed(error) from None
            kind = message["kind"]
            if kind == "stage":
                self.stage = message["stage"]
            elif kind == "log":
                _log(message["level"], message["text"])
            elif kind == "failed":
                raise self._failed(message)
            else:
                if self._watch is not None:
                    self._watch(self._worker.pid)  # a candidate is built, and the child waits for its answer
                return message

    def _send(self, message: Message) -> None:
        try:
            self._worker.send(message)
        except ChildError as error:
            raise self._crashed(error) from None

    def _failed(self, message: Message) -> EngineError:
        _LOGGER.debug("%s", message["traceback"])
        if message["stage"] == "import":
            return not_importable(message["error"])
        raise_refusal(message["refused"], self._folder)
        return EngineError(
            f"Neural Compressor failed while it was in the stage '{message['stage']}'",
            found=message["error"],
            advice="its traceback is in the log at level DEBUG; another strategy may not take this path",
        )

    def _crashed(self, error: ChildError) -> EngineError:
        memory = (
            "it may have run out of memory: kl and percentile calibration keep every activation of every image; "
            "set quantization.model_wise.activation.algorithm to minmax, or lower sampling_size"
        )
        return EngineError(
            f"the process of Neural Compressor died in the stage '{self.stage}'",
            found=[error.how, *error.stderr.splitlines()],
            advice=memory if error.out_of_memory else "see what it printed last",
        )


def _log(level: int, text: str) -> None:
    """Log what Neural Compressor logged: its chatter at DEBUG, its warnings as they are."""
    if text.strip() in _EMPTY_DUMP:
        return
    loud = level >= logging.WARNING and not any(noise in text for noise in _NOISE)
    _LOGGER.log(level if loud else logging.DEBUG, "Neural Compressor: %s", " ".join(text.split()))
