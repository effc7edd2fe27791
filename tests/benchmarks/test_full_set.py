"""A validation set of any size from a small one, and what is drawn of runs on it."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
from evaluated import Evaluated, Stage
from full_set import make
from opened import Opened
from process_tree import watch
from scale import Row, _evaluations, _images, _memory, _openings, _rest, _stages


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


def test_a_row_says_memory_beside_its_bound_and_passes_over_all_images() -> None:
    row = Row(
        model="some.onnx",
        model_bytes=5_000_000,
        engine="native",
        images=50_000,
        evaluated=34_930,
        unseen=14_970,
        stages={"decode the images": 200.0, "evaluate fp32": 100.0, "evaluate the written files": 100.0},
        limits={"decode": 300.0, "fp32": 400.0, "int8": 1200.0},
        inferences={"fp32": 49_900, "int8": 130_000},
        judged=[5540, None],
        peak_bytes=550_000_000,
        work_bytes=200_000_000,
        crop_bytes=7_500_000_000,
        silence=6.0,
        seconds=900.0,
        processor=1700.0,
        cores=2,
        load=(0.1, 2.0),
        peaks={"evaluate": 400_000_000, "sensitivity": 550_000_000},
        others=90.0,
    )
    assert "| 15 min, 28 core-minutes | 5% |" in "\n".join(_stages([row]))
    assert "| 15 min, 28 core-minutes | 20%: busy |" in "\n".join(_stages([replace(row, others=360.0)]))
    assert "| 15 min, 28 core-minutes | load 0 to 2 |" in "\n".join(_stages([replace(row, others=None)]))
    assert "| 50,000 | 550 MB | sensitivity | 620 MB | 7.50 GB | 200 MB |" in "\n".join(_memory([row]))
    assert "| 1.00 | 2.61 | 5,540, – | 6 s |" in "\n".join(_images([row]))
    assert "250/s of 300 (83%)" in "\n".join(_stages([row]))
    # 300 s are 1.18 times what 50,000 images take to decode and 34,930 to evaluate; 49,900 and 130,000 are evaluated.
    assert "| 300 s, 1.18 times | 1,700, 2.13 times 800 | decode the images 200 s, " in "\n".join(_rest([row]))


def test_evaluation_by_itself_is_the_clock_beside_the_least_and_says_what_ran_beside() -> None:
    def done(others: float | None) -> str:
        stages = {
            "decode": Stage(110.0, 205.0, 5.0, 200_000_000, others),
            "fp32": Stage(110.0, 215.0, 3.0, 250_000_000, others),
        }
        limits = {"decode": 0.004, "fp32": 0.004}
        return _evaluations([Evaluated("some.onnx", 5_000_000, 50_000, 2, limits, stages, 0, 4)])[-1]

    both = "455/s of 500 (91%) | 455/s of 500 (91%) | 220 s, 1.10 times | 200 s"
    assert f"{both} | 5% | 1.07 times | 2% | 250 MB |" in done(11.0)
    assert f"{both} | 25%: busy | 1.07 times |" in done(55.0)
    assert f"{both} | – | 1.07 times |" in done(None)


def test_opening_a_model_is_drawn_beside_what_it_may_take() -> None:
    model = Opened("some.onnx", 100_000_000, 2_600_000_000, 520_000_000, 650_000_000, 3.2)
    assert "| some.onnx, 100 MB | 2,600 MB | 520 MB | 650 MB | 25% | 3 s |" in _openings([model])


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
    parent = (
        "import os; block = bytearray(b'x' * 60_000_000); "
        f"os.waitpid(os.posix_spawn('/bin/true', ['true'], {{}}, file_actions={opened}), 0)"
    )
    seen = watch([sys.executable, "-c", parent])
    late.join()
    assert seen.returncode == 0
    assert 60_000_000 < seen.peak < 110_000_000
