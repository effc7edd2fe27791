"""Run commands of ``quantize`` in forked processes, in which calls of the system are refused or that are killed."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_SOURCE = Path(__file__).with_name("refuse_calls.c")
_PACKAGES = str(Path(__file__).parents[1])
_PATIENCE = 1800.0
"""Seconds after which a command hangs: much more than one takes on a machine that others use too."""

_POLL = 0.01


@dataclass(frozen=True)
class Refusal:
    """Which call of the system is refused.

    Attributes:
        at: Its number among those that fit.
        error: What it is refused with, such as ``errno.ENOSPC``.
        function: ``open``, ``write``, ``sync``, ``rename``, ``mkdir`` or ``cut``; None: any.
        pattern: Of its path, as in a shell; None: any.
        stays: Every later one is refused too.
    """

    at: int
    error: int
    function: str | None = None
    pattern: str | None = None
    stays: bool = False


@dataclass(frozen=True)
class Command:
    """A command of ``quantize``, and what happens to it.

    Attributes:
        words: The command line without the program's name.
        place: Folder that its output, and what it needs for the experiment, goes to.
        environment: Variables on top of this process's.
        refusal: The call that is refused.
        log: File that receives every watched call.
        kill_after: Seconds after which ``signal`` is sent.
        signal: The signal.
        limits: Limits of the process by their name in ``resource``.
        meanwhile: Called with the process's id again and again while it runs, until it returns True.
        anew: Whether Python is started anew, and not forked with everything imported.
        stdout: ``closed``, ``pipe`` (that nobody reads) or ``full``; None: a file.
    """

    words: tuple[str, ...]
    place: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    refusal: Refusal | None = None
    log: Path | None = None
    kill_after: float | None = None
    signal: int = signal.SIGKILL
    limits: Mapping[str, int] = field(default_factory=dict)
    meanwhile: Callable[[int], bool] | None = None
    anew: bool = False
    stdout: str | None = None


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Attributes:
        code: Its exit code, or minus its signal.
        output: What it printed.
        errors: What it said on stderr.
        seconds: How long it took.
        struck: Whether what was to happen to it happened before its end.
    """

    code: int
    output: str
    errors: str
    seconds: float
    struck: bool = True


Experiment = Generator[Command, Done, None]
"""Yields commands, and gets how each of them ended."""


def preloaded() -> bool:
    """Return whether calls of this process can be refused; if a compiler is at hand, begin anew with what does it."""
    if os.environ.get("FAULTS_PRELOADED"):
        return True
    library = Path(tempfile.mkdtemp(prefix="faults-")) / "refuse_calls.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAULTS_PRELOADED": "1"}
    return os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def drive(experiments: Iterable[Experiment], at_once: int) -> None:
    """Run experiments to their ends, some at a time; only the forked processes do any work or have threads."""
    waiting = iter(experiments)
    running: dict[int, tuple[Experiment, _Running]] = {}

    def step(experiment: Experiment, done: Done | None) -> None:
        try:
            command = next(experiment) if done is None else experiment.send(done)
        except StopIteration:
            return
        started = _Running(command)
        running[started.pid] = (experiment, started)

    while True:
        while len(running) < at_once:
            experiment = next(waiting, None)
            if experiment is None:
                break
            step(experiment, None)
        if not running:
            return
        for pid, (experiment, started) in list(running.items()):
            done = started.poll()
            if done is not None:
                del running[pid]
                step(experiment, done)
        time.sleep(_POLL)


class _Running:
    def __init__(self, command: Command) -> None:
        self._command, self._signalled, self._watching = command, False, command.meanwhile is not None
        command.place.mkdir(parents=True, exist_ok=True)
        self._out, self._err = command.place / "stdout.txt", command.place / "stderr.txt"
        self._count = command.place / "count"
        self._count.write_bytes(bytes(8))
        for file in (self._out, self._err):  # here: the process may be killed before it has opened them
            file.write_bytes(b"")
        if command.log is not None:
            command.log.write_bytes(b"")
        self._passed, self._looked = 0.0, time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, self._count, self._out, self._err)
        with suppress(OSError):  # it has done so itself, or ended; else what is sent to its group finds none yet
            os.setpgid(self.pid, self.pid)

    def poll(self) -> Done | None:
        """Return how it ended; None while it runs."""
        # What is longer was a pause of this whole process tree.
        self._passed += min(time.monotonic() - self._looked, 1.0)
        self._looked, passed = time.monotonic(), self._passed
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            output, errors = (file.read_text(errors="replace") for file in (self._out, self._err))
            return Done(code, output, errors, passed, self._struck())
        if self._watching and self._command.meanwhile is not None:
            self._watching = not self._command.meanwhile(self.pid)
        after = self._command.kill_after
        if after is not None and passed > after and not self._signalled:
            self._signalled = True
            send = os.killpg if self._command.signal == signal.SIGKILL else os.kill
            send(self.pid, self._command.signal)
        if passed > _PATIENCE:
            os.killpg(self.pid, signal.SIGKILL)
        return None

    def _struck(self) -> bool:
        refusal = self._command.refusal
        refused = refusal is None or int.from_bytes(self._count.read_bytes(), sys.byteorder) > refusal.at
        killed = self._command.kill_after is None or self._signalled
        return refused and killed and not self._watching


def _become(command: Command, count: Path, out: Path, err: Path) -> None:
    """Run the command in this forked process, and end it."""
    code = 70
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for each in (signal.SIGTERM, signal.SIGHUP):  # `nohup` has it ignored, and then nothing would happen to a run
            signal.signal(each, signal.SIG_DFL)
        for number, file in ((1, out), (2, err)):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
            os.close(handle)
        if command.stdout is not None:
            _spoil_stdout(command.stdout)
        os.environ.update(command.environment)
        refusal = command.refusal
        os.environ["FAULTS_COUNT"] = str(count)
        if command.log is not None:
            os.environ["FAULTS_LOG"] = str(command.log)
        if refusal is not None:
            given = {"AT": str(refusal.at), "ERRNO": str(refusal.error), "FUNCTION": refusal.function}
            given |= {"PATTERN": refusal.pattern, "FROM": "1" if refusal.stays else None}
            os.environ.update({f"FAULTS_{name}": value for name, value in given.items() if value is not None})
        tempfile.tempdir = None
        for name, most in command.limits.items():
            number = getattr(resource, name)
            resource.setrlimit(number, (most, most))
        if command.anew:
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_PACKAGES, os.environ.get("PYTHONPATH"))))
            os.execv(sys.executable, [sys.executable, "-m", "faults.anew", *command.words])
        from quantize.cli.main import main

        sys.argv = ["quantize", *command.words]
        if os.environ.get("FAULTS_PRELOADED"):
            ctypes.CDLL(None).faults_begin()
        code = int(main(command.words))
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - the forked process must never go on as the one that forked it
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _spoil_stdout(how: str) -> None:
    if how == "closed":
        os.close(1)
        return
    if how == "pipe":
        reader, handle = os.pipe()
        os.close(reader)
    else:
        handle = os.open("/dev/full", os.O_WRONLY)
    os.dup2(handle, 1)
    os.close(handle)
