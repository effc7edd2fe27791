"""What a run that is broken off tells: that its finished steps are kept, and the command that goes on."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from quantize.disk import full_disk
from quantize.errors import QuantizeError
from quantize.run.folder import RunFolder

_LOG = logging.getLogger("quantize")


@contextmanager
def told_how_to_go_on(folder: RunFolder) -> Iterator[None]:
    """Log the command that continues a run, whatever breaks it off.

    Args:
        folder: The run's.

    Raises:
        StorageError: Something failed that did not say why, and the run's disk is full.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not _tell(folder):
            _LOG.info("nothing was finished yet: the same command begins again")
        raise
    except QuantizeError:
        _tell(folder)
        raise
    except Exception as error:
        _tell(folder)
        full = full_disk(folder.path)
        if full is not None:
            raise full from error
        raise


def _tell(folder: RunFolder) -> bool:
    """Return whether there is something to go on with, and how was told."""
    finished = folder.journal.is_file() and folder.journal.stat().st_size > 0
    if finished:
        _LOG.info(
            "what was finished is kept; this goes on with it: quantize tune --resume %s", shlex.quote(str(folder.path))
        )
    return finished
