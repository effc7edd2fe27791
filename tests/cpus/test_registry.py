from __future__ import annotations

import pytest

from quantize.cpus.registry import CLASSES, DOT_PRODUCTS, RECORDED_SETS, class_of
from quantize.target import computes_otherwise, must_not_saturate, saturates


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_recognized_by_each_of_its_own_instruction_sets(name):
    traits = CLASSES[name]
    assert traits.name == name
    assert all(class_of("", frozenset({instruction_set})) == name for instruction_set in traits.recognized_by)


@pytest.mark.parametrize("name", [name for name, traits in CLASSES.items() if traits.recognized_by])
def test_a_class_that_can_be_recognized_has_limits_to_estimate_from(name):
    low, high = CLASSES[name].gains
    assert 1.0 <= low <= high


def test_a_cpu_of_no_known_class_is_of_the_last_one_and_has_no_estimate():
    assert class_of("riscv64", frozenset()) == list(CLASSES)[-1] == "any"
    with pytest.raises(ValueError, match="empty"):
        _ = CLASSES["any"].gains


def test_a_dot_product_outranks_what_else_a_cpu_has():
    assert class_of("x86_64", frozenset({"avx2", "avx512f"})) == "avx2"
    assert class_of("x86_64", frozenset({"avx2", "avx_vnni"})) == "vnni"
    assert CLASSES["avx2"].gains == (1.0, 2.0)


def test_a_dot_product_of_bytes_decides_kernels_and_so_is_recorded():
    # AVX-VNNI-INT8 is not: it never comes without AVX-VNNI.
    assert DOT_PRODUCTS - {"avx_vnni_int8"} <= set(RECORDED_SETS)


def test_instruction_sets_are_listed_as_earlier_reports_list_them():
    assert " ".join(RECORDED_SETS) == "avx2 avx512f avx512_vnni avx_vnni amx_int8 asimd asimddp i8mm sve"


@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("here", CLASSES)
def test_only_models_whose_sums_may_saturate_differ_and_only_where_sums_do(here, target):
    assert computes_otherwise(here, target) == (saturates(here) and not must_not_saturate(target))
    assert not computes_otherwise(here, here) or saturates(here)


def test_sums_are_exact_with_a_dot_product_and_on_arm64():
    assert [name for name in CLASSES if not saturates(name)] == ["vnni", "arm64"]
    assert [name for name in CLASSES if not must_not_saturate(name)] == ["vnni"]
