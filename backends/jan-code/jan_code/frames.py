"""Frames between the server and a process of code: a header of eight bytes, then one JSON object.

The code can write into the channel of its process, whatever is done about it. So the server takes nothing on trust:
what is no frame ends the process. Standard library only.
"""

from __future__ import annotations

import json
import struct
from typing import Any

HEADER = struct.Struct(">4sI")
"""`MARK`, and the length of what follows."""
MARK = b"jan1"
"""How every frame begins."""


class NoFrame(Exception):
    """What arrived is no frame, or a longer one than is allowed."""


def pack(message: dict[str, Any]) -> bytes:
    """One frame.

    Raises:
        UnicodeEncodeError: never; half a character of UTF-16 is written as an escape.
    """
    payload = json.dumps(message).encode("ascii")
    return HEADER.pack(MARK, len(payload)) + payload


class Frames:
    """Cuts a byte stream into frames.

    Args:
        longest: bytes that a frame may have.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take more bytes, in whatever portions they arrive, and return what is complete.

        Raises:
            NoFrame: they are none of a frame.
        """
        self._rest += data
        found: list[dict[str, Any]] = []
        while len(self._rest) >= HEADER.size:
            mark, length = HEADER.unpack_from(self._rest)
            if mark != MARK:
                raise NoFrame("it wrote into the server's channel")
            if length > self._longest:
                raise NoFrame(f"it wrote {length} bytes at once, and {self._longest} are the most")
            if len(self._rest) < HEADER.size + length:
                break
            payload = bytes(self._rest[HEADER.size : HEADER.size + length])
            del self._rest[: HEADER.size + length]
            try:
                message = json.loads(payload)
            except (ValueError, RecursionError):
                raise NoFrame("it wrote into the server's channel") from None
            if not isinstance(message, dict):
                raise NoFrame("it wrote into the server's channel")
            found.append(message)
        return found
