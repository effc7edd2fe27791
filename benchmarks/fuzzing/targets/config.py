"""Settings in YAML, tolerances in YAML."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from fuzzing.target import Target
from quantize.config import load_config
from quantize.errors import QuantizeError
from quantize.gate.tolerances import read_tolerances

_CONFIGS = Path("configs")
_TAGS = b"""model: {name: !!str x, framework: onnxrt_qdq}
quantization: &a {calibration: {sampling_size: [1, !!int "2"]}, target: !!binary YQ==}
tuning: {<<: *a, accuracy_criterion: {relative: !!float "0.01"}, time_budget: !!timestamp 2001-01-01, x: !!bool "yes"}
"""


def _run(content: bytes, scratch: Path) -> None:
    path = scratch / "config.yaml"
    path.write_bytes(content)
    with suppress(QuantizeError):
        read_tolerances(path)
    config = load_config(path, {})
    again = scratch / "again.yaml"
    again.write_text(config.to_yaml(), encoding="utf-8")
    load_config(again, {})


def _without_comments(content: bytes) -> bytes:
    return re.sub(rb"(?m)^ *#.*\n| +#.*$", b"", content)  # they are most of the file, and most of the time


TARGET = Target(
    name="config",
    what="settings and tolerances (YAML)",
    executions=200_000,
    seeds=lambda: [_without_comments(path.read_bytes()) for path in sorted(_CONFIGS.glob("*.yaml"))] + [_TAGS],
    run=_run,
    longest=4096,
)
