"""A client on raw sockets that is light and the same for both sides of a pair: one thread, no parsing of events."""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SECONDS = 120.0
"""Longest wait for anything."""

FIRST_TEXT = re.compile(rb'"(?:content|value)": ?"[^"]')
"""The first piece of an answer that has text in it, of a chat or of a run; an opening chunk has none."""
_WRITTEN = re.compile(rb'"completion_tokens": ?(\d+)')
_END = b"data: [DONE]"


class BadReply(Exception):
    """The server answered something that cannot be measured; the text is the beginning of it."""


def get(path: str) -> bytes:
    """A GET that keeps the connection."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: Any) -> bytes:
    """A POST of JSON that keeps the connection."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    )
    return head.encode() + b"\r\n\r\n" + content


def chat(model: str, prompt: str, tokens: int, **more: Any) -> bytes:
    """A streaming chat completion, greedy, that tells its usage at the end."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **more,
    }
    return post("/v1/chat/completions", body)


class Connection:
    """A kept connection for replies that tell their length.

    Args:
        port: where the server answers, on 127.0.0.1.
        seconds: longest wait for anything.
    """

    def __init__(self, port: int, seconds: float = SECONDS) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """Send a request; returns the reply's body.

        Raises:
            BadReply: it is not 200, or the connection ended.
        """
        self._socket.sendall(request)
        data = b""
        while (end := body_end(data)) is None or len(data) < end:
            more = self._socket.recv(1 << 16)
            if not more:
                raise BadReply(f"the connection ended after {data[:300]!r}")
            data += more
        if not data.startswith(b"HTTP/1.1 200"):
            raise BadReply(repr(data[:600]))
        return data[data.index(b"\r\n\r\n") + 4 :]

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def body_end(data: bytes) -> int | None:
    """How long a reply is in all, headers and body; None as long as its headers are not complete.

    Raises:
        BadReply: it does not tell its length.
    """
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    lower = data[:head].lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        raise BadReply(repr(data[:600]))
    return head + 4 + int(lower[at + 17 :].split(b"\r\n", 1)[0])


@dataclass(slots=True)
class Streamed:
    """What came of one streaming request; times in seconds of the monotonic clock.

    Attributes:
        sent: when the request had been handed to the system.
        answered: when the first bytes of the reply had arrived.
        first: when the first text had arrived.
        ended: when the end had arrived.
        tokens: how many tokens the server says it wrote.
    """

    sent: float = 0.0
    answered: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    tokens: int = 0


def stream(port: int, requests: Sequence[bytes]) -> list[Streamed]:
    """Send streaming requests at the same time, a connection each, and read them to their ends.

    Connections are made before the clock starts.

    Raises:
        BadReply: an answer is not 200, or ended early.
        TimeoutError: nothing arrived for too long.
    """
    found = [Streamed() for _ in requests]
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=SECONDS) for _ in requests]
    buffers = [bytearray() for _ in requests]
    with selectors.DefaultSelector() as waiting:
        try:
            for number, one in enumerate(sockets):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting.register(one, selectors.EVENT_READ, number)
            for number, request in enumerate(requests):
                found[number].sent = time.monotonic()
                sockets[number].sendall(request)
            left = len(requests)
            while left:
                ready = waiting.select(SECONDS)
                if not ready:
                    raise TimeoutError(f"nothing arrived for {SECONDS:g} s")
                for key, _ in ready:
                    number = key.data
                    if _take(sockets[number].recv(1 << 16), buffers[number], found[number]):
                        waiting.unregister(sockets[number])
                        left -= 1
        finally:
            for one in sockets:
                one.close()
    return found


def _take(data: bytes, buffer: bytearray, found: Streamed) -> bool:
    """Note what arrived; True at the end."""
    now = time.monotonic()
    if not data:
        raise BadReply(f"the stream ended early: {bytes(buffer[-600:])!r}")
    before = len(buffer)
    buffer += data
    found.answered = found.answered or now
    if not found.first and FIRST_TEXT.search(buffer):
        found.first = now
        if not buffer.startswith(b"HTTP/1.1 200"):
            raise BadReply(repr(bytes(buffer[:600])))
    if buffer.find(_END, max(0, before - len(_END))) < 0:
        if b'"error"' in data:
            raise BadReply(repr(bytes(buffer[-600:])))
        return False
    written = _WRITTEN.findall(buffer)
    if not written or not found.first:
        raise BadReply(f"no text or no usage in {bytes(buffer[-600:])!r}")
    found.ended, found.tokens = now, int(written[-1])
    return True
