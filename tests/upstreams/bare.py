"""A server of bytes within the test itself: what a connection is answered is written down, request by request."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.upstreams.wire import Exchange, next_request

HANG = b"hang"
"""Instead of an answer: nothing, until the client leaves."""
RESET = b"reset"
"""Instead of an answer: the connection is reset."""


class Bare:
    """What came.

    Attributes:
        port: where it answers, on 127.0.0.1.
        requests: those that came.
        of: to each of them, the number of its connection.
        left: connections that have ended.
    """

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Exchange] = []
        self.of: list[int] = []
        self.left = 0

    @property
    def url(self) -> str:
        """What a client of it is configured with."""
        return f"http://127.0.0.1:{self.port}/v1"


@asynccontextmanager
async def bare(*connections: Sequence[bytes]) -> AsyncIterator[Bare]:
    """A server for the time of the block.

    Args:
        connections: what the requests of each connection are answered; it is closed when one more comes. The last of
            them is that of all further connections.
    """
    found = Bare()
    made = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        number, made = made, made + 1
        answers = iter(connections[min(number, len(connections) - 1)])
        try:
            while (on := await next_request(reader, writer, asyncio.Event(), 0)) is not None:
                found.requests.append(on)
                found.of.append(number)
                answer = next(answers, None)
                if answer is None:
                    return
                if answer == HANG:
                    await reader.read()
                    return
                if answer == RESET:
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    writer.transport.abort()
                    return
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            found.left += 1
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


def reply(told: Any, status: int = 200, **headers: str) -> bytes:
    """A whole answer: bytes as they are, anything else as JSON."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} As-Told\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body


def stream(*events: Any, end: bool = True) -> bytes:
    """A stream of events: texts as they are, anything else as the JSON of one event.

    Args:
        events: in their order.
        end: whether the answer ends as HTTP has it; what follows is awaited otherwise.
    """
    body = b"".join(
        one.encode() if isinstance(one, str) else b"data: %s\n\n" % json.dumps(one).encode() for one in events
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if end else b"")
