"""Run models under onnxruntime's profiler, and read each node's time in each run."""

from __future__ import annotations

import bisect
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto
from onnxruntime import InferenceSession

from quantize.disk import not_written
from quantize.measurement.timing.blocks import round_order
from quantize.measurement.timing.interleave import collector_paused
from quantize.measurement.timing.plan import Plan
from quantize.models.session import open_session
from quantize.progress import Progress

_SUFFIX = "_kernel_time"
_RUNS_A_BLOCK = 5
_WARMUP = 2
Tensor = tuple[str, tuple[int, ...]]
"""A tensor's type, as onnxruntime names it (``uint8``, ``float``), and its shape."""


@dataclass(frozen=True)
class NodeTrace:
    """One node of the graph that onnxruntime ran.

    Attributes:
        name: Its name there.
        op_type: Its operator.
        inputs: Its inputs, without weights that onnxruntime has packed into a form of its own.
        outputs: Its outputs.
        runs_ns: Time in each run, in nanoseconds (the profiler's resolution is a microsecond).
    """

    name: str
    op_type: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    runs_ns: tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """A session's profile.

    Attributes:
        nodes: In the order that they ran.
        runs_ns: Time of each whole run, in nanoseconds.
    """

    nodes: tuple[NodeTrace, ...]
    runs_ns: tuple[int, ...]


def read_trace(path: Path) -> Trace:
    """Return what a profile of onnxruntime holds.

    Args:
        path: The file that ``InferenceSession.end_profiling`` names.

    Raises:
        ValueError: It holds no run.
    """
    events: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    runs = sorted((event["ts"], event["dur"]) for event in events if event["name"] == "model_run")
    if not runs:
        raise ValueError(f"{path} holds no run")
    begins = [begin for begin, _ in runs]
    kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith(_SUFFIX)]
    durations: dict[str, list[int]] = defaultdict(lambda: [0] * len(runs))
    first: dict[str, dict[str, Any]] = {}
    for event in sorted(kernels, key=lambda event: int(event["ts"])):
        key = event["args"]["node_index"]
        first.setdefault(key, event)
        durations[key][bisect.bisect_right(begins, event["ts"]) - 1] += event["dur"] * 1000
    nodes = [_node(event, tuple(durations[key])) for key, event in first.items()]
    return Trace(nodes=tuple(nodes), runs_ns=tuple(length * 1000 for _, length in runs))


def _node(event: dict[str, Any], runs_ns: tuple[int, ...]) -> NodeTrace:
    args = event["args"]
    return NodeTrace(
        name=event["name"].removesuffix(_SUFFIX),
        op_type=args["op_name"],
        inputs=_tensors(args.get("input_type_shape", ())),
        outputs=_tensors(args.get("output_type_shape", ())),
        runs_ns=runs_ns,
    )


def _tensors(entries: Any) -> tuple[Tensor, ...]:
    return tuple((kind, tuple(shape)) for entry in entries for kind, shape in entry.items())


def run_profiled(
    plan: Plan,
    inputs: Mapping[str, Sequence[npt.NDArray[np.generic]]],
    names: tuple[str, str],
    runs: int,
    folder: Path,
    progress: Progress,
) -> list[Trace]:
    """Run both models under the profiler; the first runs of each block are left out of the traces."""
    sessions = [
        open_session(
            plan.models[name],
            threads=plan.threads,
            optimization=plan.optimization,
            spinning=plan.spinning,
            profile_prefix=folder / f"profile-{index}",
            optimized_path=_optimized_path(folder, index),
        )
        for index, name in enumerate(names)
    ]
    feeds = [session.get_inputs()[0].name for session in sessions]
    generator = np.random.default_rng(plan.seed)
    counted: tuple[list[bool], list[bool]] = ([], [])
    blocks = -(-runs // _RUNS_A_BLOCK)
    order = [name for _ in range(-(-blocks // 2)) for name in round_order(names, generator)]
    for done, name in enumerate(order):
        progress("profile", done, len(order))
        index = names.index(name)
        if counted[index].count(True) >= runs:
            continue
        with collector_paused():
            for run in range(_WARMUP + _RUNS_A_BLOCK):
                images = inputs[name]
                image = images[len(counted[index]) % len(images)]
                sessions[index].run(None, {feeds[index]: image})
                counted[index].append(run >= _WARMUP)
    progress("profile", len(order), len(order))
    traces = [end_profiling(session) for session in sessions]
    return [_only(trace, flags) for trace, flags in zip(traces, counted, strict=True)]


def end_profiling(session: InferenceSession) -> Trace:
    """Return the profile that a session has written: onnxruntime does not say where it could not write it.

    Raises:
        StorageError: It is torn, or missing.
    """
    path = Path(session.end_profiling())
    try:
        return read_trace(path)
    except (OSError, ValueError) as error:
        raise not_written(path, error) from error


def _only(trace: Trace, flags: list[bool]) -> Trace:
    def kept(runs_ns: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(value for value, flag in zip(runs_ns, flags, strict=True) if flag)

    nodes = (NodeTrace(n.name, n.op_type, n.inputs, n.outputs, kept(n.runs_ns)) for n in trace.nodes)
    return Trace(nodes=tuple(nodes), runs_ns=kept(trace.runs_ns))


def _optimized_path(folder: Path, index: int) -> Path:
    """Return where ``run_profiled`` leaves the graph that onnxruntime ran for a model."""
    return folder / f"optimized-{index}.onnx"


def optimized_graph(folder: Path, index: int) -> ModelProto:
    """Return a model as onnxruntime ran it under the profiler.

    Raises:
        StorageError: Its file is torn, or missing.
    """
    path = _optimized_path(folder, index)
    try:
        return onnx.load(path)
    except (OSError, DecodeError) as error:
        raise not_written(path, error) from error
