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

    Args:
        kind: `INTERNAL` or `SERVER`.
        parent: the span that it is below; where there is none, a trace begins here.
        name: what it is called.
        common: attributes, encoded already.

    Attributes:
        trace_id: 16 bytes.
        span_id: 8 bytes.
        parent_id: the parent's 8 bytes; empty where the trace begins here.
        state: the `tracestate` that came with the request.
        name: what it is called.
        kind: `INTERNAL` or `SERVER`.
        began: in nanoseconds since 1970.
        ended: the same; 0 while it is under way.
        attributes: names and values: text, bool, int, float, or a tuple of texts.
        common: further ones, encoded already, since many spans share them.
        events: name, time and attributes of each.
        failed: whether its status is "error".
        message: what the status says then.
        server: host and port that the request came to.
        kind_of: what `late` needs to know.
        late: what adds the rest of its attributes before it is written; None where nothing is left to add. Many spans
            are written at once, which takes a third of the time that it takes while a request waits.
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
        "parent_id",
        "server",
        "span_id",
        "state",
        "trace_id",
    )

    def __init__(self, kind: int, parent: Span | None = None, name: str = "", common: bytes = b"") -> None:
        self.span_id: bytes = (_getrandbits(64) or 1).to_bytes(8, "big")
        if parent is None:
            self.trace_id: bytes = (_getrandbits(128) or 1).to_bytes(16, "big")
            self.parent_id = b""
            self.state = ""
            self.server: tuple[str, int] | None = None
        else:
            self.trace_id = parent.trace_id
            self.parent_id = parent.span_id
            self.state = parent.state
            self.server = parent.server
        self.kind = kind
        self.name = name
        self.began = time_ns()
        self.ended = 0
        self.attributes: dict[str, Any] = {}
        self.common = common
        self.events: list[tuple[str, int, tuple[tuple[str, Any], ...]]] | None = None
        self.failed = False
        self.message = ""
        self.late: Callable[[Span], None] | None = None
        self.kind_of: tuple[Any, ...] = ()

    def event(self, name: str, *attributes: tuple[str, Any]) -> None:
        """Note that something happened now."""
        if self.events is None:
            self.events = []
        self.events.append((name, time_ns(), attributes))


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
