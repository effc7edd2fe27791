"""Faults of a process that is begun anew: signals while it loads what it needs, and streams that nobody reads."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

from faults.experiments import Frame
from faults.processes import Experiment

_INTERRUPTED = 130
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_EACH = 10
_LOADING_SECONDS = 1.5


def process_experiments(frame: Frame, draw: random.Random) -> Iterator[Experiment]:
    """Yield runs in processes of their own: ended while Python starts, and with a stdout that takes nothing."""
    for sent in _SIGNALS:
        for _ in range(_EACH):
            moment = draw.uniform(0, _LOADING_SECONDS)
            # Until Python's handlers are installed the signal itself ends the process: a shell calls that 143.
            codes = (-sent, _INTERRUPTED)
            fault = f"{sent.name} within the first {_LOADING_SECONDS:g} seconds"
            yield frame.broken(fault, anew=True, kill_after=moment, signal=sent, codes=codes)
    for stdout, words in (("closed", "closed"), ("pipe", "a pipe that nobody reads"), ("full", "a full disk")):
        yield frame.broken(f"stdout is {words}", anew=True, stdout=stdout)
