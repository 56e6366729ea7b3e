"""Pictures and files on their way to a model: what can be shown, and what is said instead.

No I/O. What a protocol cannot carry becomes words in its place, so that the model knows
that there was something, and the person is not told that all was well.
"""

import base64
import binascii
from typing import Final

from beamclaw.contracts.messages import File, Image, Media

IMAGE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
PDF: Final = "application/pdf"
_TEXT: Final = ("text/", "application/json", "application/xml", "application/yaml")
_WEB: Final = ("https://", "http://")


def can_be_shown(image: Image) -> bool:
    """Whether a provider takes *image*: a web address, or data of a kind it knows."""
    if image.url is not None:
        return image.url.startswith(_WEB)
    return bool(image.data) and image.media_type in IMAGE_TYPES


def is_pdf(file: File) -> bool:
    """Whether *file* is one, with its data."""
    return file.media_type == PDF and bool(file.data)


def is_web_pdf(file: File) -> bool:
    """Whether *file* is one that the provider has to fetch."""
    return file.media_type == PDF and file.url is not None and file.url.startswith(_WEB)


def text_in(file: File) -> str | None:
    """What stands in *file*, if it is a text."""
    if not file.media_type.startswith(_TEXT) or not file.data:
        return None
    try:
        text = base64.b64decode(file.data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return text if text.strip() else None


def in_words(part: Media) -> str:
    """What is said in the place of something that cannot be shown."""
    if isinstance(part, File):
        kind = part.media_type or "of an unknown kind"
        return (
            f"(here was the file {part.name!r}, {kind}, which cannot be shown to you)"
        )
    return "(here was a picture, which cannot be shown to you)"


def as_text(file: File, text: str) -> str:
    """A text file as words."""
    return f"The file {file.name!r}:\n{text}"
