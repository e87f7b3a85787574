"""A small web server for the tests of pulls: real sockets, and every way in which a server can misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

GGUF = b"GGUF" + bytes(range(256)) * 2000
"""Content that begins as GGUF files do; 512,004 bytes."""


@dataclass
class Served:
    """One path, and how it is answered."""

    data: bytes = GGUF
    etag: str | None = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes of a body after which the connection is closed, one a request
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: bool = True
    before: Callable[[], object] | None = None


class FileServer:
    """Serves `files` on 127.0.0.1 while it is entered, and keeps what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    outer._answer(self)
                except ConnectionError:
                    pass  # the client has left

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/model.gguf") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ranges(self) -> list[str | None]:
        """The Range header of each request, in order."""
        return [headers.get("range") for _, headers in self.asked]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append((handler.path, headers))
        handler.close_connection = True
        served = self.files.get(handler.path.partition("?")[0])
        if served is None:
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if served.before is not None:
            served.before()
        start = 0
        asked = headers.get("range")
        status = served.status
        if asked and served.ranges and status == 200 and headers.get("if-range") in (None, served.etag):
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
        body = served.data[start:]
        handler.send_response(status)
        if served.length:
            handler.send_header("Content-Length", str(len(body)))
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(served.data) - 1}/{len(served.data)}")
        if served.etag:
            handler.send_header("ETag", served.etag)
        for name, value in served.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: served.cuts.pop(0)] if served.cuts else body)


class Steps:
    """A `Progress` that keeps what it was told, and calls `during` at every block."""

    def __init__(self, during: Callable[[str], None] | None = None) -> None:
        self.steps: list[tuple[str, int | None, int]] = []
        self.notes: list[str] = []
        self.bytes = 0
        self._during = during

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        self.steps.append((label, total, done))
        self.bytes = done

    def advance(self, n: int) -> None:
        self.bytes += n
        if self._during is not None:
            self._during(self.steps[-1][0])

    def note(self, text: str) -> None:
        self.notes.append(text)
