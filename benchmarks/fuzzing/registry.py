"""Every target by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.fuzzing.target import Target
from benchmarks.fuzzing.targets.baseline import TARGET as BASELINE
from benchmarks.fuzzing.targets.config import TARGET as CONFIG
from benchmarks.fuzzing.targets.containers import ARCHIVES, TABLES
from benchmarks.fuzzing.targets.images import TARGET as IMAGES
from benchmarks.fuzzing.targets.labels import TARGET as LABELS
from benchmarks.fuzzing.targets.report import TARGET as REPORT

TARGETS: Mapping[str, Target] = MappingProxyType(
    {target.name: target for target in (CONFIG, LABELS, REPORT, BASELINE, IMAGES, ARCHIVES, TABLES)}
)
