from __future__ import annotations

from quantize.brief_repr import BriefModel


class Inner(BriefModel):
    values: tuple[int, ...]


class Outer(BriefModel):
    name: str
    inner: Inner
    absent: int | None = None
    few: tuple[int, ...] = (1, 2)
    parts: tuple[Inner, ...] = ()
    counts: dict[str, int] | None = None


def test_a_model_shows_its_plain_values_and_what_the_others_are() -> None:
    outer = Outer(name="a" * 100, inner=Inner(values=(1,)), counts=dict.fromkeys("abcdef", 0))
    assert repr(outer) == f"Outer(name='{'a' * 60}…', inner=Inner(…), few=(1, 2), counts=<6 items>)"
    assert repr(Inner(values=tuple(range(1000)))) == "Inner(values=<1,000 items>)"


def test_everything_is_in_the_values_all_the_same() -> None:
    inner = Inner(values=tuple(range(1000)))
    assert Inner.model_validate(inner.model_dump()) == inner
