"""Images that a message of an older app names by their path, as addresses that hold the image itself."""

from __future__ import annotations

import base64
from pathlib import Path, PurePosixPath

LARGEST = 8 << 20
"""Bytes of an image that becomes part of a message, at most."""

_KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


def as_address(folder: Path, named: str) -> str | None:
    """An image as a `data:` address.

    Args:
        folder: the thread's folder; nothing outside it is read.
        named: what the message says: the address itself, or a path that ends in `files/<name>`.

    Returns:
        The address; None where there is no such image, or it is too large.
    """
    if named.startswith("data:image/"):
        return named if len(named) <= 2 * LARGEST else None
    path = folder / "files" / PurePosixPath(named.replace("\\", "/")).name
    try:
        if not path.is_file() or path.is_symlink() or path.stat().st_size > LARGEST:
            return None
        content = path.read_bytes()
    except (OSError, ValueError):  # ValueError: a null in the name
        return None
    kind = next((kind for begins, kind in _KINDS.items() if content.startswith(begins)), None)
    return None if kind is None else f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
