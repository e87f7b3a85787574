"""The load of plain requests, in a process of its own: kept connections, each with one request on its way.

    python -m tests.benchmarks.load PID PORT CONNECTIONS SECONDS < request

It prints one line of JSON: requests a second, and the shares of a CPU that the server and this process used.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

from tests.benchmarks.client import body_end
from tests.benchmarks.processes import HOUSE, Server, python


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it was answered."""

    def __init__(self, request: bytes, failed: asyncio.Future[None]) -> None:
        self.request = request
        self.failed = failed
        self.answered = 0
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's derives from nothing
        self._transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._data:
            data = self._data + data
        if not self._whole(data):
            self._data = data
            return
        self._data = b""
        if data.startswith(b"HTTP/1.1 200"):
            self.answered += 1
            self.go_on(self._transport)
        elif not self.failed.done():
            self.failed.set_exception(RuntimeError(f"not 200: {data[:600]!r}"))

    def go_on(self, transport: asyncio.Transport) -> None:
        """It was answered."""
        transport.write(self.request)

    def _whole(self, data: bytes) -> bool:
        if data.endswith(b"0\r\n\r\n") and b"chunked" in data[:400].lower():
            return True
        if b"content-length" not in data[:400].lower():
            return False
        end = body_end(data)
        return end is not None and len(data) >= end

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.failed.done():
            self.failed.set_exception(RuntimeError(f"the server closed a connection: {exc}"))


def told(jan: Sequence[Load], reference: Sequence[Load]) -> str:
    """A remark on loads: what a request cost either server, and how busy the client was with the reference."""
    costs = [statistics.median(one.cost for one in side) for side in (jan, reference)]
    own = statistics.median(one.own for one in reference)
    return f"server CPU a request {costs[0]:.0f} us and {costs[1]:.0f} us, client {own:.0%} busy"


async def _ask(server: Server, connections: int, seconds: float, request: bytes) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    asking = [Asking(request, failed) for _ in range(connections)]
    for one in asking:
        await loop.create_connection(lambda one=one: one, "127.0.0.1", server.port)  # type: ignore[misc]
    await asyncio.wait({failed}, timeout=0.1)  # what the first requests cost is not counted
    before, own, theirs = sum(one.answered for one in asking), time.process_time(), server.cpu()
    began = time.monotonic()
    await asyncio.wait({failed}, timeout=seconds)
    took = time.monotonic() - began
    if failed.done():
        failed.result()
    answered = sum(one.answered for one in asking) - before
    own, theirs = time.process_time() - own, server.cpu() - theirs
    return {"rate": answered / took, "own": own / took, "server": theirs / took}


@dataclass(frozen=True, slots=True)
class Load:
    """What a load made of a server.

    Attributes:
        rate: requests a second.
        own: share of a CPU that the client used.
        server: share of a CPU that the server used.
    """

    rate: float
    own: float
    server: float

    @property
    def cost(self) -> float:
        """Microseconds of the server's CPU a request: what other programs on the machine disturb least."""
        return self.server / self.rate * 1_000_000

    @property
    def limited_by_client(self) -> bool:
        """True where the client had no more to give while the server had: then the rate is the client's own."""
        return self.own > 0.95 and self.server < 0.85


def start_load(server: Server, *, connections: int = 8, seconds: float = 1.0) -> subprocess.Popen[bytes]:
    """Start the load's process; it begins when `finish_load` has given it the request."""
    numbers = [str(number) for number in (server.pid, server.port, connections, seconds)]
    command = python("-m", "tests.benchmarks.load", *numbers)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HOUSE)


def finish_load(process: subprocess.Popen[bytes], request: bytes = b"") -> Load:
    """Give the request, where that is not yet done, and wait for the result.

    Raises:
        RuntimeError: a reply was not 200; stderr has it.
    """
    with process:
        line = process.communicate(request, timeout=120)[0]
    if process.returncode:
        raise RuntimeError(f"the load ended with status {process.returncode}")
    return Load(**json.loads(line))


def load(server: Server, request: bytes, *, connections: int = 8, seconds: float = 1.0) -> Load:
    """Put a server under load from another process, and wait for the result."""
    return finish_load(start_load(server, connections=connections, seconds=seconds), request)


def main() -> None:
    """Ask, and print what came of it."""
    pid, port, connections = (int(argument) for argument in sys.argv[1:4])
    request = sys.stdin.buffer.read()
    found = uvloop.run(_ask(Server(pid, port), connections, float(sys.argv[4]), request))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
