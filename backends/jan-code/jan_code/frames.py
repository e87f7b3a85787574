"""Frames between the server and a process of code: a header of eight bytes, then one JSON object.

The header is `MARK` and the length of the object in bytes, as 32 bits, the highest first. What the server sends, and
what the process answers (`->`); a process answers one message before it gets the next of these three:

    {"load": {"index", "src", "packages", "memory", "file", "processes", "output", "requests"}}
        -> {"tools": [{"name", "description", "parameters"}], "told": [texts], "run": whether it has a `run`}
        or {"broken": {"file", "line", "error"}}
    {"call": {"number", "name", "arguments": text}}
        -> {"number", "output": text}  or  {"number", "error": text}
    {"run": {"number", "context": {"thread", "assistant", "run", "messages", "request", "tools"}}}
        -> as often as it likes {"say": {"text"}}
                                {"step": {"name", "arguments": text, "output": text}}
                                {"request": {"number", "method", "path", "headers": [[name, value]], "body"}}
                                {"leave": {"number"}}
           and then {"number", "output": ""}  or  {"number", "error": text, "file", "line"}

`load` comes first, and once. A `request` goes to the server's own app. Its number is of the process's choosing, and is
used once in the life of the process; `path` has the query; `leave` says that nobody reads the reply any more. While the
run goes on, the server sends of each request

    {"reply": {"number", "status", "headers": [[name, value]]}}, {"piece": {"number", "bytes"}} … {"end": {"number"}}

or only an `end` with an `error`, a text, where there is no reply; one with an `error` also ends a reply that broke off.
`body` and `bytes` have a character for each byte, U+0000 to U+00FF. `output` of `load` is the most bytes that a body,
what a call gives, and all that a run says and puts into steps may have; `requests`, how many requests may be under way
at once. What comes of a request of a run that is over is to be ignored.

The code can write into the channel of its process, whatever is done about it. So the server takes nothing on trust:
what is no frame, or not foreseen here, ends the process. Standard library only.
"""

from __future__ import annotations

import json
import struct
from typing import Any

HEADER = struct.Struct(">4sI")
"""`MARK`, and the length of what follows."""
MARK = b"jan1"
"""How every frame begins."""
AT_ONCE = 8
"""Requests of one process that may be under way at once."""
STRAY = "it wrote into the server's channel"
"""Why a process is ended that sends what it must not."""


class NoFrame(Exception):
    """What arrived is no frame, or a longer one than is allowed."""


def pack(message: dict[str, Any]) -> bytes:
    """One frame.

    Raises:
        UnicodeEncodeError: never; half a character of UTF-16 is written as an escape.
    """
    return _framed(json.dumps(message))


def pack_in_pieces(message: dict[str, Any]) -> bytes:
    """The same frame, made text by text: in a thread, and the other threads go on in between."""
    return _framed("".join(json.JSONEncoder().iterencode(message)))


def _framed(text: str) -> bytes:
    payload = text.encode("ascii")
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
                raise NoFrame(STRAY)
            if length > self._longest:
                raise NoFrame(f"it wrote {length} bytes at once, and {self._longest} are the most")
            if len(self._rest) < HEADER.size + length:
                break
            payload = bytes(self._rest[HEADER.size : HEADER.size + length])
            del self._rest[: HEADER.size + length]
            try:
                message = json.loads(payload)
            except (ValueError, RecursionError):
                raise NoFrame(STRAY) from None
            if not isinstance(message, dict):
                raise NoFrame(STRAY)
            found.append(message)
        return found
