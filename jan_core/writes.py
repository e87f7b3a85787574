"""How an answer is written to its connection: head and first piece of the body in one call of the system.

uvicorn writes the head as soon as it is known. Each write wakes the client up, and most answers are one piece long, so
the second one would cost as much again as the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class JoinedWrites:
    """The part of a transport that an answer uses.

    A head waits for what follows it, at most until the event loop has gone round once.

    Args:
        transport: the connection's.
        loop: the event loop it belongs to.
    """

    __slots__ = ("_held", "_loop", "_transport", "closes", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""
        self.is_closing = transport.is_closing
        self.closes: Callable[[], None] = transport.close
        """What closing does; may be replaced."""

    def write(self, data: bytes) -> None:
        """Write a head, or a piece of the body."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines([held, data])
        elif data[:5] == b"HTTP/":
            self._held = data
            self._loop.call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write what waits."""
        if self._held:
            held, self._held = self._held, b""
            if not self.is_closing():
                self._transport.write(held)

    def close(self) -> None:
        """End the answer, and the connection with it."""
        self.flush()
        self.closes()
