from __future__ import annotations

import pytest

from quantize.cpus.arm64 import ARM64
from quantize.cpus.registry import class_of


@pytest.mark.parametrize("architecture", ["aarch64", "arm64", "ARM64"])
def test_every_cpu_of_the_architecture_is_of_the_class(architecture):
    assert class_of(architecture, frozenset()) == "arm64"


def test_a_dot_product_doubles_what_int8_gains_at_most():
    assert ARM64.gains == (2.0, 4.0)
