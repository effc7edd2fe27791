"""Measuring in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import quantize
from quantize.errors import MeasurementError


class Child:
    """A process that runs one of this room's worker modules and exchanges lines of JSON with it.

    A context manager: the process is gone when it is left.

    Args:
        module: The worker's full name.
        request: Its first line.
        log: File that receives what it writes to stderr.
        prefix: Command to start it with, such as ``numactl`` and its arguments.
    """

    def __init__(self, module: str, request: dict[str, Any], log: Path, *, prefix: Sequence[str] = ()) -> None:
        self._module = module
        self._log = log
        root = str(Path(quantize.__file__).resolve().parent.parent)
        # Without the safe path, a file beside the user (onnx.py, say) would be imported instead of the package.
        paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-m", module],
                env={**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )
        self.send(request)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None and kind is not None:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        self._process.wait()

    def send(self, message: object) -> None:
        """Send one line.

        Raises:
            MeasurementError: The process was killed.
            RuntimeError: The process failed: a bug, with its own traceback in the text.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._failed()

    def receive(self) -> Any:
        """Wait for one line and return what it says.

        Raises:
            MeasurementError: The process was killed.
            RuntimeError: The process failed: a bug, with its own traceback in the text.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            self._failed()
        return json.loads(line)

    def _failed(self) -> None:
        code = self._process.wait()
        if code < 0:
            raise MeasurementError(
                "a process of the benchmark was ended from outside",
                found=f"{signal.Signals(-code).name} in {self._module}",
                advice="see whether memory ran out; run fewer instances at once",
            )
        text = self._log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"{self._module} ended with exit code {code}:\n{text}")
