"""Who is compared, and how the model of each is made: in a process of its own, within ten minutes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contest.bench import Bench

LIMIT_SECONDS = 600
_MAKERS = Path(__file__).with_name("makers")
_CORRECT_CODES = (0, 1)  # 1: the criterion was not met, the models are written all the same


@dataclass(frozen=True)
class Contender:
    """A tool.

    Attributes:
        title: What the tables call it.
        maker: Script in ``makers/``; None for our own.
        suffix: Of its file.
        role: Of our own two files.
        packages: Whose versions decide.
        python: Environment variable that names the Python to make it with, where it cannot share one with the others.
    """

    title: str
    maker: str | None = None
    suffix: str = ".onnx"
    role: Literal["int8", "qdq"] | None = None
    packages: tuple[str, ...] = ()
    python: str | None = None


CONTENDERS: Mapping[str, Contender] = {
    "neural-compressor": Contender("Neural Compressor", "inc.py", packages=("neural-compressor",)),
    "quantize_static": Contender("onnxruntime quantize_static", "static.py", packages=("onnxruntime",)),
    "nncf-openvino": Contender("NNCF on OpenVINO", "nncf_openvino.py", ".xml", packages=("nncf", "openvino")),
    "quark": Contender("AMD Quark", "amd_quark.py", packages=("amd-quark",), python="QUARK_PYTHON"),
    "ours-qlinear": Contender("ours, QLinear", role="int8"),
    "ours-qdq": Contender("ours, QDQ", role="qdq"),
}


@dataclass(frozen=True)
class Made:
    """What came of it: a file, or the reason why there is none; and the seconds that it took."""

    file: Path | None
    seconds: float
    reason: str | None = None


def make(name: str, bench: Bench) -> Made:
    """Return a contender's model of a network; what was made before, or could not be, is not tried again."""
    contender = CONTENDERS[name]
    stem, note = _stem(name), _note(name, bench)
    if not note.is_file():
        begun = time.monotonic()
        ours = contender.role is not None
        reason = tuned(bench, bench.folder / stem) if ours else _theirs(contender, bench, bench.folder / name)
        note.write_text(json.dumps({"seconds": time.monotonic() - begun, "reason": reason}), encoding="utf-8")
    known = json.loads(note.read_text(encoding="utf-8"))
    theirs = bench.folder / f"{name}{contender.suffix}"
    file = theirs if contender.role is None else tuned_file(bench.folder / stem, contender.role)
    if file is None or not file.is_file():
        return Made(None, known["seconds"], known["reason"] or "no file was written")
    return Made(file, known["seconds"], known["reason"])


def forget(name: str, bench: Bench) -> None:
    """Have a contender's model made anew the next time."""
    _note(name, bench).unlink(missing_ok=True)


def _stem(name: str) -> str:
    return name if CONTENDERS[name].role is None else "ours"


def _note(name: str, bench: Bench) -> Path:
    return bench.folder / f"{_stem(name)}.made.json"


def _theirs(contender: Contender, bench: Bench, stem: Path) -> str | None:
    python = sys.executable if contender.python is None else os.environ.get(contender.python)
    if python is None:
        return f"not installed: {contender.python} names no Python"
    job = bench.job(stem.with_name(stem.name + contender.suffix))
    return _ended([python, str(_MAKERS / str(contender.maker)), str(job)], stem)


def tuned(bench: Bench, place: Path, *further: str) -> str | None:
    """Run our own tool with these flags into a folder, and return what went wrong."""
    command = [sys.executable, "-m", "quantize", "tune", "--engine", "native", "--input_model", bench.source]
    command += ["--data_path", bench.data, "--calibration_list", bench.calibration_list, "--output_model", place]
    command += ["--label_path", bench.labels] if bench.labels is not None else []
    command += ["--preset", bench.subject.preset] if bench.subject.preset is not None else []
    if not bench.subject.answers:
        command += ["--criterion", "none"]
    command += ["--time_budget", "5min", "--max_seconds", "60", "--overwrite", *further]
    return _ended([str(part) for part in command], place, _CORRECT_CODES)


def _ended(command: list[str], stem: Path, correct: tuple[int, ...] = (0,)) -> str | None:
    """Run a command with the limit, and return what went wrong."""
    log = stem.with_name(f"{stem.name}.log")
    with log.open("w", encoding="utf-8") as lines:
        child = subprocess.Popen(command, stdout=lines, stderr=lines, cwd=stem.parent, start_new_session=True)
        try:
            code = child.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # what it started, too
            child.wait()
            return f"not ready after {LIMIT_SECONDS // 60} minutes"
    if code in correct:
        return None
    said = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"ended with exit code {code}: {said[-1][:200] if said else 'no word'}"


def tuned_file(place: Path, role: str) -> Path | None:
    """Return the file of a run, ``int8`` or ``qdq``, or None where the run has none."""
    report = place / "report.json"
    if not report.is_file():
        return None
    models = json.loads(report.read_text(encoding="utf-8"))["models"]
    return next((report.parent / model["file"] for model in models if model["role"] == role), None)
