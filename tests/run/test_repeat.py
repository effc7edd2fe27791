"""The differences between machines that explain a repetition with other bits."""

from __future__ import annotations

from quantize.measurement.machine.cpu import isa_flags
from quantize.provenance import versions
from quantize.report.provenance import Provenance, Tool
from quantize.run.repeat import machine_differences


def _provenance(**changed: str) -> Provenance:
    return Provenance(
        tool=Tool(version="0", git_commit=None, git_dirty=None),
        created="2024-01-01T00:00:00Z",
        command=(),
        config_fingerprint="",
        data_fingerprint="",
        preprocessing_fingerprint="",
        calibration_fingerprint="",
        versions=versions() | changed,
        isa=tuple(isa_flags() or ()),
    )


def test_the_kernels_that_numpy_multiplies_with_are_recorded() -> None:
    assert versions()["blas"]


def test_other_kernels_are_a_difference() -> None:
    (blas,) = [
        difference for difference in machine_differences(_provenance(blas="openblas Nehalem")) if "blas" in difference
    ]
    assert "in the report openblas Nehalem" in blas


def test_the_same_kernels_are_not_a_difference() -> None:
    assert not [difference for difference in machine_differences(_provenance()) if "blas" in difference]
