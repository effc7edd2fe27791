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
import time
from pathlib import Path

_SECONDS = 60.0
"""Of processor time, for one file. libFuzzer's own limit is of wall time, which a machine's other work takes too."""


class Counter:
    """Runs a target, counts (``done``), and keeps the first file of each kind of finding."""

    def __init__(self, name: str, folder: Path) -> None:
        from fuzzing.registry import TARGETS
        from fuzzing.target import scratch_folder

        self._target, self._folder, self._scratch = TARGETS[name], folder, scratch_folder()
        self.done = 0
        (folder / "findings").mkdir(parents=True, exist_ok=True)

    def __call__(self, content: bytes) -> None:
        """Run the target on a file."""
        from fuzzing.target import finding

        self.done += 1
        if self.done % 200 == 0:
            (self._folder / "executions").write_text(str(self.done))
        before = time.process_time()
        found = finding(self._target, bytes(content), self._scratch)
        if found is None and time.process_time() - before > _SECONDS:
            found = f"more than {_SECONDS:.0f} s"
        if found is None:
            return
        kind = re.sub(r"\W+", "-", found.split("\n", 1)[0])[:100]
        path = self._folder / "findings" / kind
        if not path.exists():
            path.write_bytes(content)
            path.with_suffix(".txt").write_text(found)

    def finish(self) -> None:
        """Write the count, and take the scratch away."""
        (self._folder / "executions").write_text(str(self.done))
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
    with atheris.instrument_imports(include=["quantize", "PIL", "tarfile", "zipfile"]):
        from PIL import Image

        from fuzzing import registry

        Image.init()  # imports what reads each format

    target, counter = registry.TARGETS[name], Counter(name, folder)
    corpus = folder / "corpus"
    _write_seeds(target.seeds(), corpus)

    def one(content: bytes) -> None:
        counter(content)
        if counter.done == executions:
            counter.finish()  # here, as libFuzzer ends the process without Python

    options = [
        f"-runs={executions}",
        f"-seed={seed + 1}",
        f"-timeout={10 * _SECONDS:.0f}",
        f"-rss_limit_mb={target.megabytes}",
    ]
    options += [f"-malloc_limit_mb={target.megabytes}", f"-artifact_prefix={folder}/", "-report_slow_units=61"]
    # Seeds of two formats that run the same lines of quantize are kept both: what reads them is code of others.
    options += ["-len_control=0", "-keep_seed=1", f"-max_len={target.longest}"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
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
