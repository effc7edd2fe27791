"""How long each stage of a run took."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from quantize.report.stages import StageSection

_LOG = logging.getLogger("quantize")


@dataclass
class Stages:
    """The stages of a run in order; each is logged when it begins."""

    _seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside; a name used again adds up."""
        _LOG.info("%s", name)
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - start

    def sections(self) -> tuple[StageSection, ...]:
        """Return every stage with its seconds, in the order of their beginning."""
        return tuple(StageSection(name=name, seconds=seconds) for name, seconds in self._seconds.items())
