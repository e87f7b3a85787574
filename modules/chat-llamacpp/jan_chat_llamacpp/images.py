"""Images in messages: what is handed to the engine, and what is not."""

from __future__ import annotations

import base64
import binascii
import re
import struct

from jan_core.errors import InvalidRequest

LARGEST = 20 << 20
"""Bytes of an image."""
MOST_PIXELS = 64_000_000
"""Of an image: a file of a few kilobytes can say that it is gigabytes of pixels."""
MOST_IMAGES = 16
"""Of a request."""

_DATA = re.compile(r"data:image/[a-z+.-]{1,20};base64,", re.IGNORECASE)
_SHOWN = 40


def check_image(url: str, at: str) -> None:
    """Look at an image before the engine does.

    Args:
        url: a `data:` URL in base64, of a PNG, a JPEG, a GIF or a BMP.
        at: its place in the request.

    Raises:
        InvalidRequest: it is another URL, which is not fetched; or no image, or too large.
    """
    found = _DATA.match(url)
    if found is None:
        raise _bad(
            at,
            f"must be a data: URL with the image in base64 (data:image/png;base64,…), not {url[:_SHOWN]!r}; "
            "the server fetches nothing from other addresses",
        )
    if len(url) - found.end() > LARGEST * 4 // 3 + 4:
        raise _bad(at, f"an image may have {LARGEST >> 20} MiB")
    try:
        data = base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise _bad(at, "what follows the comma is no base64") from None
    try:
        size = _size(data)
    except (struct.error, IndexError):
        size = None
    if size is None:
        raise _bad(at, "this is no PNG, JPEG, GIF or BMP that can be read")
    width, height = size
    if not 0 < width * height <= MOST_PIXELS:
        raise _bad(at, f"the image says that it has {width} × {height} pixels; at most {MOST_PIXELS:,} can be read")


def _bad(at: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{at}: {what}.", param=at, code="invalid_image")


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height by an image's header; None where it is of another kind."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", data, 6)
        return width, height
    if data.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", data, 18)
        return abs(width), abs(height)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
    return None
