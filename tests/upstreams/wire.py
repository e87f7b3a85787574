"""HTTP as bare as a scripted upstream needs it: requests are read whole, answers are written byte by byte as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

LIMIT = 1 << 26
"""Bytes of a head, or of a line of a body, that are read at most."""


class Gone(Exception):
    """The client has left."""


class Protocol(asyncio.StreamReaderProtocol):
    """Streams that tell at once that the other side has left, also where nobody reads."""

    def __init__(self, reader: asyncio.StreamReader, connected: Any) -> None:
        super().__init__(reader, connected)
        self.gone = asyncio.Event()

    def eof_received(self) -> bool | None:
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)


class Exchange:
    """One request, and the ways to answer it.

    Attributes:
        method: of the request.
        path: of the request, with its query.
        headers: of the request, by name in lower case.
        body: of the request.
        keep: whether the connection may have another request after this one.
        begun: whether a byte of the answer has been written.
        written: bytes of the answer so far.
    """

    def __init__(
        self, method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter, gone: Any
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.keep = True
        self.begun = False
        self.written = 0
        self.writer = writer
        self.gone: asyncio.Event = gone

    def json(self) -> Any:
        """The body of the request, or None where it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    async def write(self, data: bytes) -> None:
        """Write bytes of the answer as they are, and wait while the client does not read.

        Raises:
            Gone: the client has left.
        """
        if self.gone.is_set():
            raise Gone
        self.begun = True
        self.written += len(data)
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError as error:
            raise Gone from error

    async def reply(self, status: int, body: Any, headers: Mapping[str, str] = {}) -> None:
        """A whole answer: bytes as they are, a text as it is, anything else as JSON."""
        kind = "application/json"
        if isinstance(body, str):
            kind, body = "text/html", body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        told = {"content-type": kind, "content-length": str(len(body)), **headers}
        await self.write(head(status, told) + body)

    async def begin(self, kind: str = "text/event-stream") -> None:
        """The head of an answer whose length is not told."""
        await self.write(head(200, {"content-type": kind, "transfer-encoding": "chunked"}))

    async def piece(self, data: bytes) -> None:
        """A piece of such an answer."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        """The end of such an answer."""
        await self.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Cut the connection at once, without an end."""
        self.keep = False
        self.writer.transport.abort()

    async def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Gone: the client has left meanwhile.
        """
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self.gone.wait()
        except TimeoutError:
            return
        raise Gone

    async def hang(self) -> None:
        """Do nothing until the client leaves.

        Raises:
            Gone: it has.
        """
        await self.gone.wait()
        raise Gone


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """The head of an answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} As-Told\r\n{lines}\r\n".encode("latin-1")


async def next_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event, pause: float
) -> Exchange | None:
    """The next request of a connection; None where it has ended.

    Args:
        reader: of the connection.
        writer: of the connection.
        gone: is set when the other side has left.
        pause: seconds to wait before each 4 KiB of a body.
    """
    try:
        told = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = told.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = bytearray()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await reader.readline()).strip(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            left = int(headers.get("content-length", "0"))
            while left:
                await asyncio.sleep(pause)
                some = await reader.readexactly(min(left, 4096 if pause else left))
                body += some
                left -= len(some)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Exchange(method, path, headers, bytes(body), writer, gone)
