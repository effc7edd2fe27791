"""The table of ``docs/figures.md``: our QLinear model of each network beside the fastest and the nearest other."""

from __future__ import annotations

from collections.abc import Mapping

from contest.cells import Cells, Timed
from contest.subjects import SUBJECTS

_OURS = "ours-qlinear"
_OTHERS: Mapping[str, str] = {
    "neural-compressor": "Neural Compressor",
    "quantize_static": "`quantize_static`",
    "nncf-openvino": "OpenVINO",
    "quark": "Quark",
}
_HEAD = ["| network | ours | the fastest other | ours | the nearest other |", "|---|---:|---|---:|---|"]


def summary(cells: Cells) -> str:
    """Return a row a network that was timed on one CPU: on one thread, speed-up over fp32 and SQNR of the scores."""
    known = set(cells.networks())
    rows = [_row(name, cells) for name in SUBJECTS if name in known and cells.timed(name, _OURS, 1) is not None]
    return "\n".join([*_HEAD, *rows])


def _row(name: str, cells: Cells) -> str:
    subject = SUBJECTS[name]
    short = subject.title.partition(",")[0]
    is_one = [other.title.partition(",")[0] for other in SUBJECTS.values()].count(short) == 1
    title = (short if is_one else subject.title) + ("" if subject.table == "A" else ", made weights")
    own, near = cells.timed(name, _OURS, 1), cells.near(name, _OURS)
    assert own is not None
    assert near is not None
    timed = {other: cell for other in _OTHERS if (cell := cells.timed(name, other, 1)) is not None}
    fastest = max(timed, key=lambda other: timed[other].ratio or 0.0)
    judged = {other: there for other in _OTHERS if (there := cells.near(name, other)) is not None}
    nearness = {other: there.decibel for other, there in judged.items() if there.decibel is not None}
    nearest = max(nearness, key=lambda other: nearness[other])
    return (
        f"| {title} | {_speed(own)} | {_speed(timed[fastest])}, {_OTHERS[fastest]} "
        f"| {near.decibel:.1f} dB | {nearness[nearest]:.1f} dB, {_OTHERS[nearest]} |"
    )


def _speed(timed: Timed) -> str:
    """Return a speed-up and its interval; too few pairs of a slow network give none."""
    interval = "" if timed.low is None or timed.high is None else f" ({timed.low:.2f} to {timed.high:.2f})"
    return f"{timed.ratio:.2f}x{interval}"
