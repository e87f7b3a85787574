"""Spans as they are noted, and which one is current.

The SDK of OpenTelemetry is not used: its spans cost a request several times what a plugin may (docs/decisions).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextvars import ContextVar
from time import time_ns
from typing import Any, Final

INTERNAL: Final = 1
"""The kind of a span within the server."""
SERVER: Final = 2
"""The kind of a span that answers a request from outside."""

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_STATE_BYTES = 512
_bits = random.SystemRandom().getrandbits(64)
_getrandbits = random.Random(_bits).getrandbits  # ids must differ, not be secret; the system's source costs a call each


class Span:
    """One span, under way or over.

    It has no `__init__`, since a request waits three microseconds for one: who makes a span sets what is marked with a
    star, in its own lines where a request waits, with `begun` elsewhere. The rest is known when it is written.

    Attributes:
        kind: * `INTERNAL` or `SERVER`.
        parent: * the span that it is below; None where a trace begins in this program.
        began: * in nanoseconds since 1970.
        attributes: * names and values: text, bool, int, float, or a tuple of texts.
        events: * name, time and attributes of each; None where there are none.
        failed: * whether its status is "error".
        message: * what the status says then.
        span_id: * 8 bytes; empty until it is needed.
        trace_id: 16 bytes. * Where there is no parent, and this and the next three are set in any case: the same.
        parent_id: 8 bytes; empty where there is no span above.
        state: the `tracestate` that came with the request.
        server: host and port that the request came to.
        ended: as `began`.
        late: sets `name` and `common`, and adds to the attributes what is left. Many spans are written at once, which
            takes a third of the time that it takes while a request waits.
        kind_of: what `late` needs to know.
        name: what it is called.
        common: further attributes, encoded already, in groups that many spans share.
    """

    __slots__ = (
        "attributes",
        "began",
        "common",
        "ended",
        "events",
        "failed",
        "kind",
        "kind_of",
        "late",
        "message",
        "name",
        "parent",
        "parent_id",
        "server",
        "span_id",
        "state",
        "trace_id",
    )

    attributes: dict[str, Any]
    began: int
    common: tuple[bytes, ...]
    ended: int
    events: list[tuple[str, int, tuple[tuple[str, Any], ...]]] | None
    failed: bool
    kind: int
    kind_of: tuple[Any, ...]
    late: Callable[[Span], None]
    message: str
    name: str
    parent: Span | None
    parent_id: bytes
    server: tuple[str, int] | None
    span_id: bytes
    state: str
    trace_id: bytes

    def event(self, name: str, *attributes: tuple[str, Any]) -> None:
        """Note that something happened now."""
        if self.events is None:
            self.events = []
        self.events.append((name, time_ns(), attributes))

    def identify(self) -> None:
        """Set the ids, and what it shares with its trace."""
        if not self.span_id:
            self.span_id = new_span_id()
        above = self.parent
        if above is None:
            self.trace_id = self.trace_id or new_trace_id()
            return
        if not above.span_id:
            above.span_id = new_span_id()
        self.parent_id = above.span_id
        while above.parent is not None:
            above = above.parent
        if not above.trace_id:
            above.trace_id = new_trace_id()
        self.trace_id, self.state, self.server = above.trace_id, above.state, above.server


def begun(kind: int, parent: Span | None) -> Span:
    """A span that begins now."""
    span = Span()
    span.kind = kind
    span.parent = parent
    span.attributes = {}
    span.events = None
    span.failed = False
    span.message = span.state = ""
    span.span_id = span.trace_id = span.parent_id = b""
    if parent is None:
        span.trace_id = new_trace_id()
    span.server = None
    span.began = time_ns()
    return span


def new_trace_id() -> bytes:
    """16 bytes by chance, not all of them 0."""
    return (_getrandbits(128) or 1).to_bytes(16, "big")


def new_span_id() -> bytes:
    """8 bytes by chance, not all of them 0."""
    return (_getrandbits(64) or 1).to_bytes(8, "big")


class Unsampled:
    """Stands for a span of a trace that is not kept: nothing below it is noted."""


UNSAMPLED: Final = Unsampled()

current: ContextVar[Span | Unsampled | None] = ContextVar("jan_tracing_otel_span", default=None)
"""The span under way; None where a trace would begin."""


def read_traceparent(header: bytes) -> tuple[bytes, bytes, bool] | None:
    """What a `traceparent` says, as W3C Trace Context describes it.

    Returns:
        The trace's id, the parent's id, and whether the trace is kept; None where the header is not one.
    """
    found = _TRACEPARENT.fullmatch(header)
    if found is None or (header[:2] == b"00" and len(header) != 55):
        return None
    trace_id, parent_id = bytes.fromhex(found[1].decode()), bytes.fromhex(found[2].decode())
    if not any(trace_id) or not any(parent_id):
        return None
    return trace_id, parent_id, bool(int(found[3], 16) & 1)


def read_tracestate(values: list[bytes]) -> str:
    """The `tracestate` headers as one; empty where there is none, or it is too long or no plain text."""
    joined = b",".join(values)
    return joined.decode() if len(joined) <= _STATE_BYTES and joined.isascii() else ""
