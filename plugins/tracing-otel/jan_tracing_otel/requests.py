"""A span around every request."""

from __future__ import annotations

from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.requests import CLIENT_LEFT
from jan_tracing_otel.sending import SLICE
from jan_tracing_otel.spans import (
    SERVER,
    UNSAMPLED,
    Span,
    current,
    new_trace_id,
    read_traceparent,
    read_tracestate,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from jan_core.call import Call
    from jan_tracing_otel.tracing import Tracing

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
"""Methods that a trace may name; any other is `_OTHER`, since clients may invent them without end."""
_LONGEST = 1024
COMMON = 1024
"""How many groups of attributes that many spans share are kept."""
LEFT = "client_left"
"""The type of error of what ended because its client went away."""


class TracedRequests:
    """An ASGI app around another one that notes a span for each request.

    It goes on with the trace that the request's `traceparent` names, and keeps it where that says so.

    Args:
        app: what it goes around.
        tracing: where the spans go.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self.tracing = tracing
        self._all = tracing.sample >= 1
        self._fresh, self._write = tracing.sender.fresh, tracing.sender.write
        self._late = self._describe
        self._common = lru_cache(COMMON)(self._make_common)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and hand in its span when it is over."""
        context = call.current()
        if scope["type"] != "http" or context is None:
            await self.app(scope, receive, send)
            return
        span = Span()
        span.kind = SERVER
        span.parent = None
        span.attributes = told = {}
        span.events = None
        span.failed = False
        span.message = span.state = ""
        span.span_id = span.trace_id = span.parent_id = b""
        span.server = scope.get("server")
        span.began = time_ns()
        parent: bytes | None = None
        for name, value in scope["headers"]:
            if name == b"traceparent":
                parent = value if parent is None else b""  # two of them say nothing
        found = read_traceparent(parent) if parent else None
        if found is None:
            if not (kept := self._all):
                span.trace_id = new_trace_id()
                kept = self.tracing.keeps(span.trace_id)
        else:
            state = read_tracestate([value for name, value in scope["headers"] if name == b"tracestate"])
            span.trace_id, span.parent_id, span.state = found[0], found[1], state
            kept = found[2] if self.tracing.follow else self.tracing.keeps(span.trace_id)
        if not kept:
            current.set(UNSAMPLED)
            await self.app(scope, receive, send)
            return
        current.set(span)
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            told["error.type"] = type(error).__qualname__
            span.failed = True
            raise
        finally:
            # What it was is read later, from a scope and a call that hold nothing large.
            span.kind_of, span.late = (scope, context), self._late
            span.ended = time_ns()
            self._fresh.append(span)
            if len(self._fresh) >= SLICE:
                self._write()

    def _describe(self, span: Span) -> None:
        """Write into a span what its request was, and how it was answered."""
        scope: Scope = span.kind_of[0]
        context: Call = span.kind_of[1]
        told, noticed = span.attributes, scope.get("state", {})
        method, path, route, status = scope["method"], scope["path"], noticed.get("route"), context.status
        if route is None and self.tracing.routes is not None:
            answering = self.tracing.routes.answering(scope)
            route = answering.path if answering is not None else None
        if method not in METHODS:
            told["http.request.method_original"], method = method[:_LONGEST], ""
        if path != route:
            told["url.path"] = path[:_LONGEST]
        agent = None
        for name, value in scope["headers"]:
            if name == b"user-agent":
                agent = value
        scheme, version = scope.get("scheme", "http"), scope.get("http_version", "1.1")
        shared = self._common(method, route, scheme, version, span.server, agent, status, path == route)
        span.name, span.common = shared
        code = noticed.get("error")
        if not span.failed:
            if noticed.get("status") == CLIENT_LEFT:
                told["error.type"] = LEFT
            elif code is not None:
                told["error.type"] = code
                # A status below 500 is the client's mistake; an error behind a status of 200 broke a stream off.
                span.failed = status >= 500 or status < 400
            elif status >= 500 or not status:
                told["error.type"] = str(status or "_OTHER")
                span.failed = True
        told["jan.request_id"] = context.request_id
        if context.key_name is not None:
            told["enduser.id"] = context.key_name

    def _make_common(
        self,
        method: str,
        route: str | None,
        scheme: str,
        version: str,
        server: tuple[str, int | None] | None,
        agent: bytes | None,
        status: int,
        whole: bool,
    ) -> tuple[str, tuple[bytes, ...]]:
        """The name of a span, and the attributes that it shares with all that are like it."""
        named = method or "HTTP"
        pairs: list[tuple[str, Any]] = [
            ("http.request.method", method or "_OTHER"),
            ("url.scheme", scheme),
            ("network.protocol.version", version),
        ]
        if route:
            pairs.append(("http.route", route))
        if whole:
            pairs.append(("url.path", route))
        if server is not None:
            pairs.append(("server.address", server[0]))
            if server[1] is not None:
                pairs.append(("server.port", server[1]))
        if agent is not None:
            pairs.append(("user_agent.original", agent.decode("latin-1")[:_LONGEST]))
        if status:
            pairs.append(("http.response.status_code", status))
        return f"{named} {route}" if route else named, (self.tracing.encoding.attributes(pairs),)
