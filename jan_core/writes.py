"""How an answer is written to its connection: what is there at one time goes at one time.

uvicorn writes the head as soon as it is known, and each event by itself. Each write wakes the client up, and sends the
processor through so much of the system that what Python needs is no longer at hand: with many streams the events of
one moment are made first, and written then, which takes a third less time. Most answers are one piece long, and a
stream often begins and ends with several events at once: they go together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

_END = b"0\r\n\r\n"
"""The end of an answer of unknown length."""
MOST = 1 << 15
"""Bytes of one answer that wait, at most: beyond, whoever writes is to learn whether the client takes them."""
_known: WeakKeyDictionary[asyncio.AbstractEventLoop, Rounds] = WeakKeyDictionary()


class Rounds:
    """Writes what was held back in a round of an event loop, when the loop has done all that it had to do then."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[JoinedWrites] = []

    def hold(self, writes: JoinedWrites) -> None:
        """Have something flushed when this round is over."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._over)
        self._held.append(writes)

    def _over(self) -> None:
        held, self._held = self._held, []
        for writes in held:
            writes.flush()


def rounds_of(loop: asyncio.AbstractEventLoop) -> Rounds:
    """The rounds of an event loop: the same for all that is written in it."""
    found = _known.get(loop)
    if found is None:
        found = _known[loop] = Rounds()
    return found


class JoinedWrites:
    """The part of a transport that an answer uses.

    A head waits for the first piece of its body, and goes with it. Other pieces wait until the round of the event loop
    is over, or the answer, or there are many bytes of them.

    Args:
        transport: the connection's.
        rounds: of the event loop that it belongs to.
    """

    __slots__ = ("_head", "_held", "_rounds", "_size", "_transport", "closes", "is_closing")

    def __init__(self, transport: asyncio.Transport, rounds: Rounds) -> None:
        self._transport = transport
        self._rounds = rounds
        self._held: list[bytes] = []
        self._size = 0
        self._head = False
        self.is_closing = transport.is_closing
        self.closes: Callable[[], None] = transport.close
        """What closing does; may be replaced."""

    def write(self, data: bytes) -> None:
        """Write a head, or a piece of the body."""
        if not self._held:
            self._rounds.hold(self)
            self._head = data[:5] == b"HTTP/"
            self._held.append(data)
            self._size = len(data)
            if self._size >= MOST or data.endswith(_END):
                self.flush()
            return
        self._held.append(data)
        self._size += len(data)
        if self._head or self._size >= MOST or data.endswith(_END):
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._held:
            held, self._held = self._held, []
            if not self.is_closing():
                self._transport.writelines(held)

    def close(self) -> None:
        """End the answer, and the connection with it."""
        self.flush()
        self.closes()
