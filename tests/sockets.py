"""Raw sockets for tests of the server's limits: a small application, a server for it, and a client that sends bytes.

Run as a program it is that server in a process of its own, for the tests that measure memory.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn

from jan_core.guard import Guard
from jan_core.limits import Limits
from jan_core.protocol import limited_protocol

HOST = b"host: localhost\r\n"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the peak memory of another process is read from /proc")
KEPT_SECONDS = 1.5
"""How long the servers keep an idle connection."""
LOOPS = ["asyncio"] if sys.platform == "win32" else ["uvloop", "asyncio"]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class App:
    """Answers `/echo` with the size of the body, `/gate` when told to, `/flood` for ever and `/big` at once."""

    def __init__(self) -> None:
        self.events: queue.Queue[str] = queue.Queue()
        self.gate = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/gate":
            await asyncio.to_thread(self.gate.wait, 10)
        if path == "/flood":
            await self.flood(receive, send)
            return
        size = 0
        if path != "/early":
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.events.put(f"disconnect {path} {size}")
                    return
                size += len(message["body"])
                more = message["more_body"]
        names = sorted({name.decode() for name, _ in scope["headers"]})
        body = (
            b"x" * 30_000_000 if path == "/big" else json.dumps({"size": size, "path": path, "names": names}).encode()
        )
        headers = [(b"content-length", b"%d" % len(body))]
        if path == "/big":
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def flood(self, receive: Any, send: Any) -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        waiting = asyncio.create_task(gone())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not waiting.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        self.events.put("disconnect /flood")


class Client:
    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(30)
        self.sock.connect(("127.0.0.1", port))
        self.file = self.sock.makefile("rb")

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self) -> Reply:
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return Reply(status, headers, self.file.read(int(headers["content-length"])))

    def ended(self) -> bool:
        """Whether nothing more comes before the server closes; waits for that."""
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return True

    def refused(self, status: int, code: str) -> str:
        reply = self.reply()
        assert reply.status == status, reply
        error = json.loads(reply.body)["error"]
        assert error == {**error, "type": "invalid_request_error", "param": None, "code": code}
        assert sorted(error) == ["code", "message", "param", "type"]
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["connection"] == "close"
        assert re.fullmatch("req_[0-9a-f]{24}", reply.headers["x-request-id"])
        assert self.ended()
        return str(error["message"])


class Server(NamedTuple):
    app: App
    lost: queue.Queue[None]
    connect: Callable[..., Client]


@contextmanager
def serving(limits: Limits, loop: Any, wrap: Callable[[Any], Any] = lambda app: app) -> Iterator[Server]:
    """A server in a thread, on a free port, for the time of the `with`."""
    app, lost = App(), queue.Queue[None]()

    class Protocol(limited_protocol(limits)):  # type: ignore[misc]
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.put(None)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        options: dict[str, Any] = {"lifespan": "off", "log_config": None, "ws": "none"}
        options["timeout_keep_alive"] = KEPT_SECONDS
        server = uvicorn.Server(uvicorn.Config(wrap(app), http=Protocol, loop=loop, **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        clients: list[Client] = []

        def connect(**options: int) -> Client:
            clients.append(Client(listener.getsockname()[1], **options))
            return clients[-1]

        try:
            yield Server(app, lost, connect)
        finally:
            app.gate.set()
            for client in clients:
                client.close()
            server.should_exit = True
            thread.join()


class Process:
    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.sockets"]
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        assert self.popen.stdout is not None
        self.port = int(self.popen.stdout.readline())
        self.clients: list[Client] = []

    def connect(self, **options: int) -> Client:
        self.clients.append(Client(self.port, **options))
        return self.clients[-1]

    def warm(self) -> float:
        """Has one request answered, forgets the peak of starting, and gives its memory in MB."""
        client = self.connect()
        client.send(
            b"POST /echo HTTP/1.1\r\n%scontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n" % HOST
        )
        client.send(b"b" * 2_000_000)
        assert client.reply().status == 200
        Path(f"/proc/{self.popen.pid}/clear_refs").write_text("5")
        return self.peak()

    def peak(self) -> float:
        """The most memory it has had since then, in MB."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.popen.terminate()
        self.popen.communicate(timeout=60)


def main() -> None:
    """The server of the memory tests: prints its port, then a line for each `/flood` whose reader was dropped."""
    app = App()
    app.events.put = lambda event, *_: print(event, flush=True)  # type: ignore[method-assign, assignment]
    guarded = Guard(app, hosts=["localhost"], origins=[], body_bytes=4_000_000)
    protocol = limited_protocol(Limits(write_seconds=0.5))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(guarded, http=protocol, lifespan="off", log_config=None)).run([listener])


if __name__ == "__main__":
    main()
