"""``docs/networks.md``, drawn from the cells alone."""

from __future__ import annotations

from contest.cells import Cells, Near, Timed
from contest.contenders import CONTENDERS
from contest.subjects import SUBJECTS
from quantize.report.wording import percent

_HEAD = """# Networks, beside other tools

Drawn from the cells in `benchmarks/results/peers`, a JSON file each, by `python benchmarks/peers.py --write`; measured
by

    pip install '.[inc,peers]'
    python benchmarks/peers.py --data_path IMAGES --label_path LABELS.txt --models FOLDER

100 images calibrate, 200 others judge; every tool has ten minutes for a network. **Table A** has networks with real
weights. **Table B** has the field's architectures with made weights (`benchmarks/make_networks.py`): they judge how
near int8 is to fp32, speed, and what is in integers; they answer nothing, so accuracy and agreement mean nothing.

SQNR: signal-to-noise ratio of the scores, the median over the images. KL: mean KL(fp32 || int8). In int8: share of
multiply-adds on integers. Speed-up: fp32's time on onnxruntime over the model's, the median of paired ratios with its
95 % interval, one image at a time, all tools' models of a network in one sitting. NNCF's models run on OpenVINO, the
others on onnxruntime. Every tool but ours gets the cleaned fp32 model (channels first, constants folded).
"""


def page(folders: list[Cells]) -> str:
    """Return the page: a section a CPU, a table a network."""
    parts = [_HEAD]
    for cells in folders:
        found = [name for name in SUBJECTS if name in set(cells.networks())]
        parts.append(f"## {_cpu(cells, found)}\n")
        for table in ("A", "B"):
            of_table = [name for name in SUBJECTS if SUBJECTS[name].table == table]
            parts.append(f"### Table {table}\n")
            parts += [_table(name, cells) for name in of_table if name in found]
            if missing := [SUBJECTS[name].title for name in of_table if name not in found]:
                parts.append(f"Not measured on this CPU: {'; '.join(missing)}.\n")
    return "\n".join(parts).rstrip("\n") + "\n"


def _cpu(cells: Cells, found: list[str]) -> str:
    for name in found:
        for threads in cells.threads(name):
            timed = cells.timed(name, "fp32", threads)
            if timed is not None:
                known = timed.machine
                return (
                    f"{known['cpu']}, class `{known['class']}`, {known['cores']} cores "
                    f"({known['instructions']}), onnxruntime {known['onnxruntime']}"
                )
    return cells.folder.name


def _table(name: str, cells: Cells) -> str:
    subject, threads = SUBJECTS[name], cells.threads(name)
    real = subject.answers
    heads = ["top-1", "agreement", "KL"] if subject.truth else ["agreement", "KL"] if real else []
    heads += ["SQNR", "in int8", *(f"speed-up, {count} thread{'s' * (count > 1)}" for count in threads)]
    rows = [f"| {subject.title} | {' | '.join(heads)} |", "|---" + "|---:" * len(heads) + "|"]
    notes = []
    for contender in ("fp32", *CONTENDERS):
        near = cells.near(name, contender)
        if near is None:
            continue
        title = CONTENDERS[contender].title if contender in CONTENDERS else "fp32"
        if near.file_sha256 is None:
            rows.append(f"| {title} |{' – |' * len(heads)}")
            notes.append(f"{title}: {near.reason}.")
            continue
        if near.reason is not None:
            notes.append(f"{title}: {near.reason}; judged is the file that was there.")
        figures = [_percent(near.top1)] if subject.truth else []
        figures += [_percent(near.agreement), _number(near.kl, ".4f")] if real else []
        figures += [_number(near.decibel, ".1f", " dB"), _share(near)]
        figures += [_speed(cells.timed(name, contender, count), near) for count in threads]
        rows.append(f"| {title} | {' | '.join(figures)} |")
    return "\n".join([*rows, "", *notes, *([""] if notes else [])])


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else percent(fraction, 1)


def _share(near: Near) -> str:
    if near.contender == "fp32":
        return ""
    return "not known" if near.int8_share is None else percent(near.int8_share, 0)


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _speed(timed: Timed | None, near: Near) -> str:
    if timed is None:
        return "not timed"
    if timed.file_sha256 != near.file_sha256:
        return "another file was timed"
    milliseconds = f"{timed.nanoseconds / 1e6:.2f} ms"
    if timed.ratio is None:
        return milliseconds
    interval = "" if timed.low is None or timed.high is None else f" ({timed.low:.2f} to {timed.high:.2f})"
    return f"{timed.ratio:.2f}x{interval}, {milliseconds}"
