"""Every target by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fuzzing.target import Target
from fuzzing.targets.baseline import TARGET as BASELINE
from fuzzing.targets.config import TARGET as CONFIG
from fuzzing.targets.containers import ARCHIVES, TABLES
from fuzzing.targets.images import TARGET as IMAGES
from fuzzing.targets.labels import TARGET as LABELS
from fuzzing.targets.report import TARGET as REPORT

TARGETS: Mapping[str, Target] = MappingProxyType(
    {target.name: target for target in (CONFIG, LABELS, REPORT, BASELINE, IMAGES, ARCHIVES, TABLES)}
)
