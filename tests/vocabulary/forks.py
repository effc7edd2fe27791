"""Neural Compressor in forks of one process that has imported it: an import takes longer than ten small networks."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import BinaryIO
from unittest import mock

from quantize.engines.inc import tuner
from quantize.processes.child import ChildError
from quantize.processes.parent import Message, Parent, read_message, write_message


class ForkedChild:
    """A child process as ``ChildProcess``, forked from this one and not started anew."""

    def __init__(
        self, target: str, *, folder: Path, stderr: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        to_child, from_child = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _work(target, folder, stderr, to_child[0], from_child[1], closed=(to_child[1], from_child[0]))
        os.close(to_child[0])
        os.close(from_child[1])
        self._to_child: BinaryIO = os.fdopen(to_child[1], "wb")
        self._from_child: BinaryIO = os.fdopen(from_child[0], "rb")
        self._stderr = stderr

    def __enter__(self) -> ForkedChild:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._to_child.close()
        self._from_child.close()

    def send(self, message: Message) -> None:
        write_message(self._to_child, message)

    def receive(self, _deadline: float | None = None) -> Message:
        message = read_message(self._from_child)
        if message is None:
            raise ChildError("ended", "it ended", self._stderr.read_text(errors="replace")[-2000:])
        return message


def _work(target: str, folder: Path, stderr: Path, read: int, write: int, *, closed: tuple[int, ...]) -> None:
    """Do the work of a child process, and end."""
    try:
        for descriptor in closed:
            os.close(descriptor)
        os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(read, 0)
        os.dup2(write, 1)
        os.chdir(folder)
        warnings.simplefilter("ignore")
        module, _, function = target.partition(":")
        getattr(import_module(module), function)(Parent())
    except BaseException:  # noqa: BLE001 - a fork must never come back into its parent's code
        traceback.print_exc()
    finally:
        os._exit(0)


@contextmanager
def neural_compressor_in_forks() -> Iterator[None]:
    """Let the engine ``inc`` work in forks of this process."""
    import neural_compressor.adaptor.onnxrt
    import neural_compressor.quantization  # noqa: F401 - forks find it imported

    with mock.patch.object(tuner, "ChildProcess", ForkedChild):
        yield
