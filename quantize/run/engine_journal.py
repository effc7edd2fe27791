"""The end of each engine's search in the run's journal: a resumed run does not search again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from quantize.engines.native.search.journal import Journal
from quantize.run.search import Found, Search


def once(journal: Journal, engine: str, search: Search, tune: Callable[[Search], Found]) -> Found:
    """Return an engine's search, from the journal where it came to its end before.

    Args:
        journal: The run's journal.
        engine: The engine's name.
        search: Knows the trials of the run that is resumed.
        tune: Searches.
    """
    key = _key(engine)
    if journal.finished(key):
        ended = journal.step(key, dict)
        # A candidate whose file is gone has to be built again, by the same search.
        if ended["chosen"] in {recorded.trial.recipe.id for recorded in search.earlier}:
            found = search.run(lambda _: iter(()), lambda: (ended["chosen"], ended["stopped"]))
            return replace(found, seconds=ended["seconds"], peak_bytes=ended["peak_bytes"])
    return recorded_once(journal, engine, tune(search))


def recorded_once(journal: Journal, engine: str, found: Found) -> Found:
    """Return a finished search with the time and memory that it took when it came to its end first."""

    def ended() -> dict[str, Any]:
        return {
            "chosen": found.chosen.recipe.id,
            "stopped": found.stopped_because,
            "seconds": found.seconds,
            "peak_bytes": found.peak_bytes,
        }

    recorded = journal.step(_key(engine), ended)
    return replace(found, seconds=recorded["seconds"], peak_bytes=recorded["peak_bytes"])


def _key(engine: str) -> str:
    return f"searched {engine}"
