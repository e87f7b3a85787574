"""A client as bare as a socket: leaves when told to, and sends what no library would."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple

from tests.e2e.checks import Checks, Events

CHAT = "/v1/chat/completions"


class RawReply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json()["error"]
        return found


class Raw:
    """One connection.

    Args:
        port: the server's.
        checks: what replies and events are held against.
    """

    def __init__(self, port: int, checks: Checks) -> None:
        self._checks = checks
        self._asked = ("GET", "/")
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self.sock.makefile("rb")
        self._port = port

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Close the connection, whatever is under way on it."""
        self._file.close()
        self.sock.close()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        """Send a request; a header given as None-like empty text is sent empty."""
        told = {"host": f"127.0.0.1:{self._port}"}
        if body:
            told |= {"content-type": "application/json", "content-length": str(len(body))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self._asked = (method, path)
        self.sock.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)

    def chat(self, **body: Any) -> None:
        """Send a chat completion request."""
        self.ask("POST", CHAT, json.dumps(body).encode())

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the reply."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name.lower()] = value
        return status, headers

    def reply(self) -> RawReply:
        """A whole reply that is no stream, checked."""
        return self.rest(*self.head())

    def rest(self, status: int, headers: dict[str, str]) -> RawReply:
        """The same where the head has been read already."""
        body = b"" if self._asked[0] == "HEAD" else self._file.read(int(headers["content-length"]))
        if body:
            self._checks.reply(*self._asked, status, body)
        return RawReply(status, headers, body)

    def events(self) -> Any:
        """The `data:` of the events that follow, checked; ends with the reply."""
        found = Events()
        while size := int(self._file.readline().strip() or b"0", 16):
            piece = self._file.read(size)
            self._file.readline()
            for event in found.feed(piece):
                self._checks.event(event)
                yield event
        assert not found.left_over()
