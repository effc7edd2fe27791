"""The CPU class of a machine, and what the processor reports about itself."""

from __future__ import annotations

import platform

import pytest

from quantize.cpus.registry import class_of
from quantize.errors import ConfigError
from quantize.measurement.machine.cpu_class import CPU_CLASS, cpuid, this_cpu_class, x86_flags

# Leaf 0 tells the highest leaf; leaf 7 the flags, by subleaf.
_ZEN1 = {(0, 0): (13, 0, 0, 0), (7, 0): (0, 1 << 5, 0, 0)}
_SKYLAKE_SP = {(0, 0): (22, 0, 0, 0), (7, 0): (0, 1 << 5 | 1 << 16, 0, 0)}
_ICE_LAKE = {(0, 0): (22, 0, 0, 0), (7, 0): (0, 1 << 5 | 1 << 16, 1 << 11, 0)}
_ALDER_LAKE = {(0, 0): (22, 0, 0, 0), (7, 0): (1, 1 << 5, 0, 0), (7, 1): (1 << 4, 0, 0, 0)}
_OLD = {(0, 0): (5, 0, 0, 0)}


@pytest.mark.parametrize(
    ("registers", "expected"),
    [(_ZEN1, "avx2"), (_SKYLAKE_SP, "avx2"), (_ICE_LAKE, "vnni"), (_ALDER_LAKE, "vnni"), (_OLD, "any")],
)
def test_an_x86_cpu_is_classified_by_what_cpuid_answers(registers, expected):
    flags = x86_flags(lambda leaf, subleaf: registers.get((leaf, subleaf), (0, 0, 0, 0)))
    assert class_of("x86_64", flags) == expected


def test_a_subleaf_that_the_cpu_does_not_have_says_nothing():
    answers = {(0, 0): (22, 0, 0, 0), (7, 0): (0, 1 << 5, 0, 0), (7, 1): (1 << 4, 0, 0, 0)}
    assert x86_flags(lambda leaf, subleaf: answers.get((leaf, subleaf), (0, 0, 0, 0))) == {"avx2"}


def test_every_arm64_cpu_is_of_one_class_and_other_architectures_are_any():
    assert class_of("aarch64", frozenset()) == class_of("arm64", frozenset()) == "arm64"
    assert class_of("riscv64", frozenset()) == "any"


@pytest.mark.skipif(platform.machine() != "x86_64" or platform.system() == "Windows", reason="CPUID is of x86-64")
def test_this_processor_answers_cpuid():
    execute = cpuid()
    assert execute is not None
    most, *letters = execute(0, 0)
    assert most >= 1
    assert b"".join(value.to_bytes(4, "little") for value in letters).isascii()


def test_the_class_is_one_of_the_four_and_can_be_named(monkeypatch):
    monkeypatch.delenv(CPU_CLASS, raising=False)
    assert this_cpu_class() in ("vnni", "avx2", "arm64", "any")
    monkeypatch.setenv(CPU_CLASS, "arm64")
    assert this_cpu_class() == "arm64"


def test_a_class_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv(CPU_CLASS, "sse2")
    with pytest.raises(ConfigError) as caught:
        this_cpu_class()
    assert "sse2" in str(caught.value)
    assert "vnni, avx2, arm64, any" in str(caught.value)
