from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from quantize.data.demonstration import View, views

PHOTOGRAPH = Image.effect_mandelbrot((101, 60), (-2, -1, 1, 1), 50).convert("RGB")


def test_the_first_view_is_the_photograph_and_the_second_its_mirror_image() -> None:
    first, second = (np.asarray(view.of(PHOTOGRAPH)) for view in views(2))
    assert np.array_equal(first, np.asarray(PHOTOGRAPH))
    assert np.array_equal(second, np.asarray(PHOTOGRAPH)[:, ::-1])


def test_all_views_differ_and_keep_most_of_the_photograph() -> None:
    seen = [view.of(PHOTOGRAPH) for view in views(32)]
    assert len({image.tobytes() for image in seen}) == 32
    assert all(image.width * image.height >= 0.6 * 101 * 60 for image in seen)


def test_a_view_in_the_corner_touches_both_edges() -> None:
    part = np.asarray(View(0.8, 1.0, 0.0, mirrored=False).of(PHOTOGRAPH))
    assert np.array_equal(part, np.asarray(PHOTOGRAPH)[:48, -81:])


@pytest.mark.parametrize("count", [0, 33])
def test_there_are_32_views(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        views(count)
