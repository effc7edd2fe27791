"""A validation set of any size from a small one, and what is seen of a command that works on it."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import psutil
from full_set import make
from process_tree import watch


def few(folder: Path) -> tuple[Path, Path]:
    """Return three images and their labels."""
    (folder / "few").mkdir()
    for name in "abc":
        (folder / "few" / f"{name}.jpg").write_bytes(name.encode() * 1000)
    (folder / "few.txt").write_text("a.jpg 3\nb.jpg 1\nc.jpg 2\n", encoding="utf-8")
    return folder / "few", folder / "few.txt"


def test_every_image_gets_as_many_names_as_it_takes_and_its_label_with_each(tmp_path: Path) -> None:
    place, labels = make(tmp_path / "set", 8, *few(tmp_path))
    lines = [line.split() for line in labels.read_text(encoding="utf-8").splitlines()]
    assert [int(label) for _, label in lines] == [3, 1, 2, 3, 1, 2, 3, 1]
    assert [(place / name).read_bytes()[:1] for name, _ in lines] == [b"a", b"b", b"c", b"a", b"b", b"c", b"a", b"b"]
    assert len({(place / name).stat().st_ino for name, _ in lines}) == 3


def test_a_set_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    given = few(tmp_path)
    place, _ = make(tmp_path / "set", 8, *given)
    before = sorted(path.stat().st_mtime_ns for path in place.iterdir())
    make(tmp_path / "set", 8, *given)
    assert sorted(path.stat().st_mtime_ns for path in place.iterdir()) == before


def test_memory_of_children_counts_and_lines_are_timed() -> None:
    child = "import time; block = bytearray(b'x' * 60_000_000); time.sleep(1.5)"
    parent = (
        f"import subprocess, sys; print('on it', file=sys.stderr); subprocess.run([sys.executable, '-c', {child!r}])"
    )
    seen = watch([sys.executable, "-c", parent])
    assert seen.returncode == 0
    assert seen.peak > 60_000_000
    assert [line for _, line in seen.lines] == ["on it"]
    assert sum(seen.gaps) >= 1.5


def test_a_child_that_is_to_stand_apart_is_not_counted() -> None:
    child = "import time; block = bytearray(b'x' * 60_000_000); time.sleep(1.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, 'apa' + 'rt'])"
    assert watch([sys.executable, "-c", parent], apart="apart").peak < 60_000_000


def _has_grandchild(process: int) -> bool:
    """Return whether the process that the test starts has started one in turn."""
    try:
        children = psutil.Process(process).children()
        return any(child.children() for child in children if "posix_spawn" in " ".join(child.cmdline()))
    except psutil.Error:
        return False


def test_a_child_that_still_runs_in_its_parents_memory_is_not_counted_again(tmp_path: Path) -> None:
    # What is forked by vfork shares it until it executes a program: here a named pipe keeps it from that for a while.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def release() -> None:
        until = time.monotonic() + 60
        while not _has_grandchild(os.getpid()) and time.monotonic() < until:  # a busy machine starts Python slowly
            time.sleep(0.02)
        time.sleep(0.7)
        os.close(os.open(pipe, os.O_WRONLY))

    late = threading.Thread(target=release)
    late.start()
    opened = f"[(os.POSIX_SPAWN_OPEN, 9, {str(pipe)!r}, os.O_RDONLY, 0)]"
    parent = (  # bytes, not a bytearray made of them: for a moment that would take the memory twice by itself
        "import os; block = b'x' * 60_000_000; "
        f"os.waitpid(os.posix_spawn('/bin/true', ['true'], {{}}, file_actions={opened}), 0)"
    )
    seen = watch([sys.executable, "-c", parent])
    late.join()
    assert seen.returncode == 0
    assert 60_000_000 < seen.peak < 110_000_000
