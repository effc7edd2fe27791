"""Pictures from memory in the place of a data set's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from quantize.errors import ConfigError
from quantize.public.given import picture_folder

if TYPE_CHECKING:
    from quantize.public.kinds import Labels, Pictures


def with_images(settings: Mapping[str, object], images: Pictures | None, labels: Labels | None) -> dict[str, object]:
    """Return settings that name a folder of these pictures and their label file.

    Raises:
        ConfigError: Labels without pictures, or pictures in two places.
        DataError: They are no pictures, or there is not a label for each.
    """
    if images is None:
        if labels is not None:
            raise ConfigError("labels without images", expected="labels=... of images=..., or label_path=... of files")
        return dict(settings)
    given = [name for name in ("data_path", "label_path") if settings.get(name) is not None]
    if given:
        raise ConfigError("images from two places", found=f"images and {', '.join(given)}", expected="one of them")
    folder, list_of_labels = picture_folder(images, labels)
    return {**settings, "data_path": folder, "label_path": list_of_labels}
