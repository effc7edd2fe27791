"""A contact sheet of thumbnails with their labels, to check the labels at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from quantize.data.decoding import UnreadableImageError, decode_image
from quantize.data.image_set import ImageRecord, ImageSet
from quantize.files import replaced

_PICTURE = 128
_CAPTION = 30
_GAP = 6
_LETTERS = 21


def contact_sheet(
    images: ImageSet, path: Path, *, class_names: Sequence[str] = (), count: int = 48, columns: int = 8
) -> tuple[str, ...]:
    """Write a PNG of images spread evenly over the labels, each with its label, class name and file name.

    Args:
        images: The data set.
        path: The file to write.
        class_names: Name of each label, or nothing.
        count: How many images; all, where there are fewer.
        columns: Pictures in a row.

    Returns:
        The ids of the pictures, row by row.
    """
    by_label = sorted(range(len(images)), key=lambda row: (images.records[row].labels, row))
    shown = min(count, len(by_label))
    chosen = [by_label[number * len(by_label) // shown] for number in range(shown)]
    width, height = _PICTURE + _GAP, _PICTURE + _CAPTION + _GAP
    sheet = Image.new("RGB", (_GAP + columns * width, _GAP + -(-shown // columns) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for place, row in enumerate(chosen):
        left, top = _GAP + place % columns * width, _GAP + place // columns * height
        picture = _picture(images, row)
        if picture is None:
            draw.rectangle((left, top, left + _PICTURE - 1, top + _PICTURE - 1), fill="lightgrey")
            draw.text((left + 4, top + 4), "unreadable", fill="red", font=font)
        else:
            corner = (left + (_PICTURE - picture.width) // 2, top + (_PICTURE - picture.height) // 2)
            sheet.paste(picture, corner)
        caption = _caption(images.records[row], class_names)
        draw.multiline_text((left, top + _PICTURE + 1), caption, fill="black", font=font, spacing=2)
    with replaced(path) as temporary:
        sheet.save(temporary, "PNG")
    return tuple(images.records[row].id for row in chosen)


def _picture(images: ImageSet, row: int) -> Image.Image | None:
    try:
        return ImageOps.contain(decode_image(images.read(row)), (_PICTURE, _PICTURE))
    except (UnreadableImageError, OSError):
        return None


def _caption(record: ImageRecord, class_names: Sequence[str]) -> str:
    name = record.id.rsplit("/", 1)[-1]
    if record.label is None:
        return _short(name)
    named = (f"{label} {class_names[label] if label < len(class_names) else ''}".strip() for label in record.labels)
    return f"{_short(', '.join(named))}\n{_short(name)}"


def _short(text: str) -> str:
    plain = text.encode("latin-1", errors="replace").decode("latin-1")
    return plain if len(plain) <= _LETTERS else f"{plain[: _LETTERS - 1]}…"
