"""Reading onnxruntime's profile."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from quantize.errors import StorageError
from quantize.measurement.operators.trace import end_profiling, optimized_graph, read_trace


def test_a_trace_gives_each_node_its_time_in_each_run(tmp_path):
    def event(category: str, name: str, begin: int, length: int, **args: object) -> dict[str, object]:
        return {"cat": category, "name": name, "ts": begin, "dur": length, "args": args}

    shapes = {"input_type_shape": [{"uint8": [1, 3]}], "output_type_shape": [{"float": [1]}]}
    events = [event("Session", "session_initialization", 0, 90)]
    for begin, length in ((100, 50), (200, 70)):
        events.append(event("Node", "b_kernel_time", begin + 20, length - 30, op_name="B", node_index="7", **shapes))
        events.append(event("Node", "a_kernel_time", begin + 2, 10, op_name="A", node_index="9", **shapes))
        events.append(event("Node", "a_fence_before", begin + 1, 1, op_name="A"))
        events.append(event("Session", "model_run", begin, length))
    (tmp_path / "trace.json").write_text(json.dumps(events), encoding="utf-8")
    trace = read_trace(tmp_path / "trace.json")
    assert [(n.name, n.op_type, n.runs_ns) for n in trace.nodes] == [
        ("a", "A", (10_000, 10_000)),
        ("b", "B", (20_000, 40_000)),
    ]
    assert trace.nodes[0].inputs == (("uint8", (1, 3)),)
    assert trace.runs_ns == (50_000, 70_000)


def test_a_trace_without_runs_is_refused(tmp_path):
    (tmp_path / "trace.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="no run"):
        read_trace(tmp_path / "trace.json")


@pytest.mark.parametrize("content", ["", '[{"cat": "Sess', None])
def test_a_profile_that_onnxruntime_could_not_write_is_told_with_its_place(tmp_path, content):
    path = tmp_path / "profile-0.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(StorageError, match="could not be written whole") as told:
        end_profiling(SimpleNamespace(end_profiling=lambda: str(path)))
    assert told.value.where == str(path)


@pytest.mark.parametrize("content", [b"\x08\x0a\x3a\xff\xff", None])
def test_an_optimized_graph_that_onnxruntime_could_not_write_is_told_with_its_place(tmp_path, content):
    from quantize.measurement.operators import trace

    path = trace._optimized_path(tmp_path, 0)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match="could not be written whole") as told:
        optimized_graph(tmp_path, 0)
    assert told.value.where == str(path)
