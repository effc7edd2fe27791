"""The times of layers that run in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import onnxruntime

from quantize.measurement.machine.probe import Probe, Values, probe_graph
from quantize.measurement.operators.origins import is_conversion_name
from quantize.measurement.operators.trace import Trace, read_trace
from quantize.measurement.timing.clock import Clock, monotonic
from quantize.measurement.timing.interleave import collector_paused
from quantize.models.session import open_session

_LEAST_ROUNDS = 2
_RUNS_A_TURN = 4
# The first is not counted: other layers have taken the caches.
_WARMUP = 1
# Threads of a session spin for a while after a run, and would take the cores of another one's.
_LONE_RUNS, _LONE_WARMUP = 48, 4

ProbeTimes = Callable[[Sequence[Probe], int], tuple[tuple[int, ...], ...]]
"""Takes layers and threads; returns each layer's counted runs in nanoseconds."""


def probe_times(
    probes: Sequence[Probe], threads: int, *, rounds: int = 8, max_seconds: float = 1.0, clock: Clock = monotonic
) -> tuple[tuple[int, ...], ...]:
    """Return each layer's times, without what converts at its borders.

    On one thread the layers' sessions are open together and take turns of a few runs; on several, each turn has a
    session of its own, and there are half as many, longer ones.

    Args:
        probes: The layers.
        threads: Intra-op threads.
        rounds: Turns of each.
        max_seconds: No round begins after this long, but the second: a slow or emulated CPU has fewer.
        clock: Tells how long it has taken.

    Returns:
        Of each layer, nanoseconds in each counted run, as many from each turn.
    """
    graphs = [probe_graph(probe) for probe in probes]
    files = [(graph.SerializeToString(), data) for graph, data in graphs]
    with tempfile.TemporaryDirectory(prefix="quantize-machine-") as folder:
        if threads > 1:
            found: list[list[int]] = [[] for _ in probes]
            for _ in _rounds(max(_LEAST_ROUNDS, rounds // 2), max_seconds, clock):
                for index, (graph, data) in enumerate(files):
                    session = _open(graph, threads, Path(folder))
                    _run(session, data, _LONE_RUNS)
                    found[index] += _counted(_trace(session), probes[index], _LONE_RUNS, _LONE_WARMUP)
            return tuple(map(tuple, found))
        sessions = [(_open(graph, threads, Path(folder)), data) for graph, data in files]
        for _ in _rounds(rounds, max_seconds, clock):
            for session, data in sessions:
                _run(session, data, _RUNS_A_TURN)
        traces = [_trace(session) for session, _ in sessions]
    return tuple(
        tuple(_counted(trace, probe, _RUNS_A_TURN, _WARMUP)) for trace, probe in zip(traces, probes, strict=True)
    )


def counted_runs(threads: int) -> int:
    """Return how many runs of each turn are counted."""
    return _RUNS_A_TURN - _WARMUP if threads == 1 else _LONE_RUNS - _LONE_WARMUP


def _rounds(most: int, max_seconds: float, clock: Clock) -> Iterator[int]:
    """Yield round after round until there are enough, or time is up after two."""
    end = clock() + int(max_seconds * 1e9)
    for done in range(most):
        if done >= _LEAST_ROUNDS and clock() >= end:
            return
        yield done


def _open(graph: bytes, threads: int, folder: Path) -> onnxruntime.InferenceSession:
    number = len(list(folder.iterdir()))  # sessions of the same second would share a name
    return open_session(graph, threads=threads, profile_prefix=folder / f"layer-{number}")


def _run(session: onnxruntime.InferenceSession, data: Values, runs: int) -> None:
    with collector_paused():
        for _ in range(runs):
            session.run(None, {"x": data})


def _trace(session: onnxruntime.InferenceSession) -> Trace:
    return read_trace(Path(session.end_profiling()))


def _counted(trace: Trace, probe: Probe, turn: int, warmup: int) -> list[int]:
    # A rewritten first layer is what stands before the Conv as well.
    nodes = [node for node in trace.nodes if probe.block > 1 or not is_conversion_name(node.op_type)]
    runs = [sum(times) for times in zip(*(node.runs_ns for node in nodes), strict=True)]
    return [time for number, time in enumerate(runs) if number % turn >= warmup]
