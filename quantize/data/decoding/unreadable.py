"""The one error of an image that cannot be used."""

from __future__ import annotations


class UnreadableImageError(Exception):
    """An image cannot be decoded or cropped; the message is the reason, in a few words."""
