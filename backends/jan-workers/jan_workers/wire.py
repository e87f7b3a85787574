"""Frames between the server and a worker process, over the worker's stdin and stdout.

A frame is a header of nine bytes, big-endian: length of the payload (u32), number of the request (u32), kind (u8);
then the payload, JSON as bytes. Request number 0 is the worker itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

HEADER = struct.Struct(">IIB")
"""Length, request, kind."""

LOAD = 1
"""To the worker, first of all: the parameters to load the model with (`WorkerEngine.parameters`)."""
REQUEST = 2
"""To the worker: a task to begin. The payload is the task's name, a line break, and what the task takes."""
CANCEL = 3
"""To the worker: end this request. Its `END` still follows."""
PING = 4
"""To the worker: give a sign of life."""

STARTED = 16
"""From the worker: it runs, and looks at what the model brings now (its chat template)."""
CHECKED = 17
"""From the worker: that is harmless; the model is being loaded."""
READY = 18
"""From the worker: the model is loaded."""
EVENT = 19
"""From the worker: a piece of an answer, as the engine wrote it."""
END = 20
"""From the worker: the request is over and its slot is free."""
FATAL = 21
"""From the worker: it stops, and why (`{"code", "message"}`); request 0, or the one that caused it."""
PONG = 22
"""From the worker: the answer to `PING`."""
TAKEN = 23
"""From the worker: it has read the request, and works on it from here on."""


def pack(kind: int, request: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(len(payload), request, kind) + payload


class Frames:
    """Cuts a byte stream into frames.

    Args:
        on_frame: called with kind, request and payload of each complete frame.
    """

    def __init__(self, on_frame: Callable[[int, int, bytes], None]) -> None:
        self._on_frame = on_frame
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take more bytes, in whatever portions they arrive."""
        buffer = self._rest + data if self._rest else data
        at, size, end = 0, HEADER.size, len(buffer)
        while end - at >= size:
            length, request, kind = HEADER.unpack_from(buffer, at)
            if end - at - size < length:
                break
            at += size
            self._on_frame(kind, request, buffer[at : at + length])
            at += length
        self._rest = buffer[at:]
