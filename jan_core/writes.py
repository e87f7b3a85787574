"""How an answer is written to its connection: what is there at one time goes in one call of the system.

Each write wakes the client up, which costs more than all else that is done for an event. uvicorn writes the head as
soon as it is known, and each event by itself; most answers are one piece long, and a stream often begins and ends with
several events at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

_END = b"0\r\n\r\n"
"""The end of an answer of unknown length."""
_known: WeakKeyDictionary[asyncio.AbstractEventLoop, Rounds] = WeakKeyDictionary()


class Rounds:
    """Counts the rounds of an event loop in which something is written, and ends each with what was held back in it."""

    __slots__ = ("_counting", "_held", "number")

    def __init__(self) -> None:
        self._held: list[JoinedWrites] = []
        self._counting = False
        self.number = 0

    def count(self) -> int:
        """The number of this round, which is over when all is done that the loop has to do now."""
        if not self._counting:
            self._counting = True
            asyncio.get_running_loop().call_soon(self._over)
        return self.number

    def hold(self, writes: JoinedWrites) -> None:
        """Have something flushed when this round is over."""
        self.count()
        self._held.append(writes)

    def _over(self) -> None:
        self._counting = False
        self.number += 1
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

    A head waits for what follows it, and what follows a piece in the same round of the event loop for what follows
    that, until the round is over, or the answer.

    Args:
        transport: the connection's.
        rounds: of the event loop that it belongs to.
    """

    __slots__ = ("_head", "_held", "_rounds", "_transport", "_written", "closes", "is_closing")

    def __init__(self, transport: asyncio.Transport, rounds: Rounds) -> None:
        self._transport = transport
        self._rounds = rounds
        self._held: list[bytes] = []
        self._head = False
        self._written = -1
        self.is_closing = transport.is_closing
        self.closes: Callable[[], None] = transport.close
        """What closing does; may be replaced."""

    def write(self, data: bytes) -> None:
        """Write a head, or a piece of the body."""
        if self._held:
            self._held.append(data)
            if self._head or data.endswith(_END):
                self._written = self._rounds.count()
                self.flush()
        elif data[:5] == b"HTTP/":
            self._head = True
            self._held.append(data)
            self._rounds.hold(self)
        elif self._written == self._rounds.number and not data.endswith(_END):
            self._held.append(data)
            self._rounds.hold(self)
        else:
            self._written = self._rounds.count()
            self._transport.write(data)

    def flush(self) -> None:
        """Write what waits."""
        self._head = False
        if self._held:
            held, self._held = self._held, []
            if not self.is_closing():
                self._transport.writelines(held)

    def close(self) -> None:
        """End the answer, and the connection with it."""
        self.flush()
        self.closes()
