"""Requests of the code to the server, over the pipe of its process. Standard library only.

They go to the server's own app, in the name of whoever asked for the run: without a network, and without a key that
the code could hold.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any

HEADERS = frozenset({"accept", "content-type", "idempotency-key", "openai-beta", "user-agent"})
"""Headers of a request that the server is told; the others are between two ends of a network."""

_numbers = itertools.count(1)


class BrokenOff(Exception):
    """There is no reply, or no more of it; says why."""


class Pipe:
    """The requests of one run. Used in one event loop, but for `take`.

    Args:
        send: sends a message to the server.
        most: how many requests may be under way at once; others wait.
        longest: bytes that a body may have.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], most: int, longest: int) -> None:
        self._send = send
        self._longest = longest
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(most)
        self._replies: dict[int, Reply] = {}

    def take(self, message: dict[str, Any]) -> None:
        """Take what the server sent of a reply. Called in another thread."""
        with suppress(RuntimeError):  # the run is over, and its loop closed
            self._loop.call_soon_threadsafe(self._taken, message)

    def _taken(self, message: dict[str, Any]) -> None:
        for kind, told in message.items():
            reply = self._replies.get(told["number"])
            if reply is not None:
                reply.take(kind, told)
                if reply.ended:
                    # Until the server has said so, it is under way there, also where nobody waits for it here.
                    del self._replies[reply.number]
                    self._room.release()

    async def ask(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Reply:
        """Send a request, and return when its reply begins.

        Args:
            method: `GET`, `POST`, …
            path: the path of the URL with its query, such as `/v1/models`.
            headers: its headers; see `HEADERS`.
            body: its body.

        Returns:
            The reply; one of status 413, which the server never saw, where the body is too long.

        Raises:
            BrokenOff: the server gave none.
        """
        if len(body) > self._longest:
            return _too_long(len(body), self._longest)
        await self._room.acquire()
        reply = Reply(next(_numbers), self._leave)
        self._replies[reply.number] = reply
        kept = [[name, value] for name, value in headers if name.lower() in HEADERS]
        told = {"number": reply.number, "method": method, "path": path, "headers": kept, "body": body.decode("latin-1")}
        self._send({"request": told})
        try:
            await reply.begun()
        except BaseException:
            reply.leave()
            raise
        return reply

    def _leave(self, reply: Reply) -> None:
        if reply.number in self._replies:
            self._send({"leave": {"number": reply.number}})


class Reply:
    """A reply, whose body arrives piece by piece. Iterated over once.

    Args:
        number: the number of its request.
        leave: called once where nobody is to read the rest.

    Attributes:
        status: the HTTP status; 0 as long as it is not known.
        headers: its headers.
        ended: True: nothing follows.
    """

    def __init__(self, number: int, leave: Callable[[Reply], None]) -> None:
        self.number = number
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.ended = False
        self._error = ""
        self._leave: Callable[[Reply], None] | None = leave
        self._pieces: deque[bytes] = deque()
        self._changed = asyncio.Event()

    def take(self, kind: str, told: dict[str, Any]) -> None:
        """Take what the server tells of it; see `jan_code.frames`."""
        if kind == "reply":
            self.status = told["status"]
            self.headers = [(name, value) for name, value in told["headers"]]
        elif kind == "piece":
            if self._leave is not None:
                self._pieces.append(told["bytes"].encode("latin-1"))
        else:
            self.ended, self._error = True, told.get("error") or ""
        self._changed.set()

    async def begun(self) -> None:
        """Return when the status is known.

        Raises:
            BrokenOff: there is no reply.
        """
        while not self.status:
            if self.ended:
                raise BrokenOff(self._error)
            await self._change()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces of its body.

        Raises:
            BrokenOff: it broke off.
        """
        while True:
            while self._pieces:
                yield self._pieces.popleft()
            if self.ended:
                if self._error:
                    raise BrokenOff(self._error)
                return
            await self._change()

    async def body(self) -> bytes:
        """All of its body.

        Raises:
            BrokenOff: it broke off.
        """
        return b"".join([piece async for piece in self])

    def leave(self) -> None:
        """Nobody reads the rest. Nothing where it has ended."""
        leave, self._leave = self._leave, None
        self._pieces.clear()
        if leave is not None and not self.ended:
            leave(self)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _too_long(length: int, longest: int) -> Reply:
    message = (
        f"The request has {length} bytes, and the code of an assistant may send {longest} at once; whoever runs this "
        "server sets that as output_bytes, under [jan-code]."
    )
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "request_too_large"}
    reply = Reply(0, lambda reply: None)
    reply.take("reply", {"status": 413, "headers": [["content-type", "application/json"]]})
    reply.take("piece", {"bytes": json.dumps({"error": error})})
    reply.take("end", {})
    return reply
