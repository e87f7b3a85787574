"""Every reply and every event of the end-to-end tests, held against the API's pinned description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.pinned import spec

STREAMS = {"chat.completion.chunk": "/v1/chat/completions", "text_completion": "/v1/completions"}
"""The route whose events say that they are such an object."""


class Checks:
    """Checks, and counts what it checked. A fault fails the test even inside a client that catches exceptions."""

    def __init__(self) -> None:
        self.spec = spec()
        self.replies = 0
        self.events = 0

    def reply(self, method: str, path: str, status: int, body: bytes) -> None:
        try:
            found = json.loads(body)
            if status < 400:
                self.spec.validate(method, path, status, found)
            else:
                self._error(status, found)
        except (ValueError, AssertionError, LookupError) as problem:
            pytest.fail(f"{method} {path} answered {status} and what the API does not have: {problem}")
        self.replies += 1

    def event(self, data: str) -> None:
        if data == "[DONE]":
            return
        try:
            found = json.loads(data)
            if "error" in found:
                self._error(500, found)
            else:
                self.spec.validate_chunk(STREAMS[found["object"]], _ended(found))
        except (ValueError, AssertionError, LookupError) as problem:
            pytest.fail(f"an event is what the API does not have: {problem}")
        self.events += 1

    def _error(self, status: int, found: Any) -> None:
        # The same shape for every route, those that the API does not have too.
        self.spec.validate("GET", "/v1/models", status, found)
        assert sorted(found["error"]) == ["code", "message", "param", "type"]


def _ended(found: Any) -> Any:
    """The event of a completion as if it were the last: the description forgets that there is no reason before."""
    if found["object"] != "text_completion":
        return found
    return {**found, "choices": [{**one, "finish_reason": one["finish_reason"] or "stop"} for one in found["choices"]]}


class Events:
    """Cuts a stream into the `data:` of its events, in whatever portions its bytes come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        return [line[6:].decode() for block in whole for line in block.split(b"\n") if line.startswith(b"data: ")]

    def left_over(self) -> bytes:
        return self._rest


class CheckedTransport(httpx2.BaseTransport):
    """Real sockets, and a check of everything that comes over them."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._inner = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        told = {"headers": response.headers, "extensions": response.extensions}
        if "x-request-id" not in response.headers:
            pytest.fail(f"{request.method} {request.url.path}: a reply without x-request-id")
        if response.headers["content-type"].startswith("text/event-stream"):
            return httpx2.Response(response.status_code, stream=_CheckedStream(response, self._checks), **told)
        try:
            body = response.read()
        finally:
            response.close()
        if request.method != "HEAD":
            self._checks.reply(request.method, request.url.path, response.status_code, body)
        return httpx2.Response(response.status_code, content=body, **told)

    def close(self) -> None:
        self._inner.close()


class _CheckedStream(httpx2.SyncByteStream):
    def __init__(self, response: httpx2.Response, checks: Checks) -> None:
        self._response = response
        self._checks = checks
        self._events = Events()

    def __iter__(self) -> Iterator[bytes]:
        for data in self._response.iter_raw():
            for event in self._events.feed(data):
                self._checks.event(event)
            yield data
        if self._events.left_over():
            pytest.fail(f"the stream ended within an event: {self._events.left_over()[:200]!r}")

    def close(self) -> None:
        self._response.close()
