"""One process of fuzzing, which ``benchmarks/fuzz.py`` starts, and starts again when it dies.

With atheris, coverage of quantize guides what is tried next; without it, hypothesis changes the seeds. What is found
goes to ``FOLDER/findings``, one file a kind; the count of executions to ``FOLDER/executions``.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import sys
from pathlib import Path


class Counter:
    """Runs a target, counts, and keeps the first file of each kind of finding."""

    def __init__(self, name: str, folder: Path) -> None:
        from fuzzing.registry import TARGETS
        from fuzzing.target import scratch_folder

        self._target, self._folder, self._scratch = TARGETS[name], folder, scratch_folder()
        self._done = 0
        (folder / "findings").mkdir(parents=True, exist_ok=True)

    def __call__(self, content: bytes) -> None:
        """Run the target on a file."""
        from fuzzing.target import finding

        self._done += 1
        if self._done % 200 == 0:
            (self._folder / "executions").write_text(str(self._done))
        found = finding(self._target, bytes(content), self._scratch)
        if found is None:
            return
        kind = re.sub(r"\W+", "-", found.split("\n", 1)[0])[:100]
        path = self._folder / "findings" / kind
        if not path.exists():
            path.write_bytes(content)
            path.with_suffix(".txt").write_text(found)

    def finish(self) -> None:
        """Write the count, and take the scratch away."""
        (self._folder / "executions").write_text(str(self._done))
        shutil.rmtree(self._scratch, ignore_errors=True)


def drive(name: str, folder: Path, executions: int, seed: int) -> None:
    """Fuzz one target until it was run so often, or dies.

    Args:
        name: The target's.
        folder: For what is found, and what was tried that reached new code.
        executions: How often.
        seed: Of what is drawn.
    """
    logging.disable(logging.CRITICAL)
    try:
        import atheris
    except ImportError:
        _by_hypothesis(name, folder, executions, seed)
        return
    with atheris.instrument_imports(include=["quantize"]):
        from fuzzing import registry

    target, counter = registry.TARGETS[name], Counter(name, folder)
    corpus = folder / "corpus"
    _write_seeds(target.seeds(), corpus)

    def one(content: bytes) -> None:
        counter(content)

    options = [f"-runs={executions}", f"-seed={seed + 1}", "-timeout=60", f"-rss_limit_mb={target.megabytes}"]
    options += [f"-malloc_limit_mb={target.megabytes}", f"-artifact_prefix={folder}/", "-report_slow_units=61"]
    import atexit

    atexit.register(counter.finish)
    atheris.Setup([sys.argv[0], *options, "-len_control=0", "-max_len=262144", str(corpus)], one)
    atheris.Fuzz()


def _write_seeds(seeds: list[bytes], corpus: Path) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for content in seeds:
        (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


def _by_hypothesis(name: str, folder: Path, executions: int, seed: int) -> None:
    from fuzzing import registry
    from fuzzing.changed_files import run_on_changed_files

    counter = Counter(name, folder)
    run_on_changed_files(registry.TARGETS[name].seeds(), counter, executions, seed)
    counter.finish()
