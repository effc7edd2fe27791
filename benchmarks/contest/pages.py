"""Pages of text, rendered here and turned, for a network that tells how a page is turned."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_TEXT = """the of and to in a is that for it as was with be by on not he his but at are this have from or had an they
which one you were all her she there would their we him been has when who will no more if out so up said what its about
than into them can only other time new some could these two may first then do any like my now over such our man house
number water between price order account paper under chapter index table invoice letter total section page"""
_WORDS = _TEXT.split()
_SIDE = (620, 877)  # A4 at 75 dots an inch
_TURNS = (0, 90, 180, 270)


def render_pages(folder: Path, count: int, seed: int) -> Path:
    """Write pages as PNG files, and a label file with the turn of each: 0 to 3 quarters.

    Args:
        folder: Gets the folder ``pages`` and the file ``pages.txt``.
        count: How many.
        seed: Of what they say.

    Returns:
        The label file.
    """
    labels, images = folder / "pages.txt", folder / "pages"
    if not labels.is_file():
        images.mkdir(parents=True, exist_ok=True)
        generator = random.Random(seed)
        lines = []
        for number in range(count):
            turn = number % len(_TURNS)
            name = f"page-{number:03}.png"
            # Pillow turns against the clock, the network's degrees go with it.
            _page(generator).rotate(-_TURNS[turn], expand=True).save(images / name)
            lines.append(f"{name} {turn}\n")
        labels.write_text("".join(lines), encoding="utf-8")
    return labels


def _page(generator: random.Random) -> Image.Image:
    paper = generator.randint(215, 255)
    page = Image.new("RGB", _SIDE, (paper, paper, max(0, paper - generator.randint(0, 20))))
    draw = ImageDraw.Draw(page)
    size = generator.choice((12, 14, 17, 20, 24))
    font, title = ImageFont.load_default(size), ImageFont.load_default(2 * size)
    left, top = generator.randint(30, 90), generator.randint(30, 120)
    ink = (generator.randint(0, 90),) * 3
    if generator.random() < 0.6:
        draw.text((left, top), _line(generator, 3).capitalize(), ink, font=title)
        top += 3 * size
    while top < _SIDE[1] - 3 * size:
        if generator.random() < 0.12:
            top += size
        fitting = max(4, (_SIDE[0] - 2 * left) // (3 * size))
        words = fitting if generator.random() < 0.8 else generator.randint(2, fitting)
        draw.text((left, top), _line(generator, words), ink, font=font)
        top += int(1.4 * size)
    return page


def _line(generator: random.Random, words: int) -> str:
    return " ".join(generator.choice(_WORDS) for _ in range(words))
