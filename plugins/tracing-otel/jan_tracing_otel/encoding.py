"""Spans as OTLP, in protobuf for a collector and in JSON for a file; and as plain lines for people.

The messages are those of opentelemetry-proto, version 1, whose numbers and meanings no longer change. They are written
by hand: the protobuf library takes as long for one span as a whole request may cost.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from jan_tracing_otel.spans import Span

_ERROR = 2
_fixed = struct.Struct("<2s16s2s8sBQBQ").pack
_fixed_below = struct.Struct("<2s16s2s8s2s8sBQBQ").pack
_TRACE, _SPAN, _ABOVE = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
"""What stands before the ids of the trace, of the span, and of the span above it."""
_time = struct.Struct("<BQ").pack
_double = struct.Struct("<d").pack
SCOPE = "jan_tracing_otel"
"""The name of the instrumentation in the traces."""
_SHORT = 128
"""Text below this many bytes is written behind what stands before all text of its length."""


class Encoding(Protocol):
    """How spans are written."""

    content_type: str
    """The media type of a batch."""

    def attributes(self, pairs: Iterable[tuple[str, Any]]) -> bytes:
        """Attributes that many spans share, for `Span.common`."""

    def span(self, span: Span) -> bytes:
        """One span."""

    def batch(self, spans: Sequence[bytes]) -> bytes:
        """A whole request, or line, with these spans."""


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _field(number: int, data: bytes) -> bytes:
    """A field whose length is given: text, bytes, or a message."""
    size = len(data)
    if size < 0x80:
        return bytes((number << 3 | 2, size)) + data
    return bytes((number << 3 | 2,)) + _varint(size) + data


@lru_cache(512)
def _key(name: str) -> bytes:
    return _field(1, name.encode())


@lru_cache(256)
def _named(name: str, kind: int) -> bytes:
    """The fields `name` and `kind` of a span."""
    return _field(5, name.encode("utf-8", "replace")) + bytes((0x30, kind))


def _value(value: Any) -> bytes:
    """An `AnyValue`."""
    if isinstance(value, str):
        return _field(1, value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    return _field(5, b"".join([_field(1, _value(one)) for one in value]))


def _attributes(number: int, pairs: Iterable[tuple[str, Any]]) -> bytes:
    """`KeyValue`s as fields of this number."""
    return b"".join([_field(number, _key(name) + _field(2, _value(value))) for name, value in pairs])


@lru_cache(4096)
def _before(name: str, size: int) -> bytes:
    """What stands before the text of an attribute: its name, and the lengths that follow from the text's, in bytes."""
    whole = _field(9, _key(name) + _field(2, _field(1, bytes(size))))
    return whole[: len(whole) - size]


class Protobuf:
    """OTLP in protobuf.

    Args:
        resource: the attributes of this server.
        version: the version of this package.
    """

    content_type = "application/x-protobuf"

    def __init__(self, resource: Mapping[str, Any], version: str) -> None:
        self._resource = _field(1, _attributes(1, resource.items()))
        self._scope = _field(1, _field(1, SCOPE.encode()) + _field(2, version.encode()))

    def attributes(self, pairs: Iterable[tuple[str, Any]]) -> bytes:
        """See `Encoding`."""
        return _attributes(9, pairs)

    def span(self, span: Span) -> bytes:
        """See `Encoding`."""
        began, ended, above = span.began, span.ended, span.parent_id
        if above:
            fixed = _fixed_below(_TRACE, span.trace_id, _SPAN, span.span_id, _ABOVE, above, 0x39, began, 0x41, ended)
        else:
            fixed = _fixed(_TRACE, span.trace_id, _SPAN, span.span_id, 0x39, began, 0x41, ended)
        parts = [fixed, _named(span.name, span.kind), *span.common]
        for key, value in span.attributes.items():
            if type(value) is str and value.isascii() and (size := len(value)) < _SHORT:
                parts += _before(key, size), value.encode()
            else:
                parts.append(_field(9, _key(key) + _field(2, _value(value))))
        if span.state:
            parts.append(_field(3, span.state.encode()))
        if span.events is not None:
            for event in span.events:
                told = _time(0x09, event[1]) + _field(2, event[0].encode()) + _attributes(3, event[2])
                parts.append(_field(11, told))
        if span.failed:
            message = _field(2, span.message.encode("utf-8", "replace")) if span.message else b""
            parts.append(_field(15, message + bytes((0x18, _ERROR))))
        whole = b"".join(parts)
        size = len(whole)
        if 0x80 <= size < 0x4000:
            return b"\x12%c%c%b" % (size & 0x7F | 0x80, size >> 7, whole)
        return b"\x12%b%b" % (_varint(size), whole)

    def batch(self, spans: Sequence[bytes]) -> bytes:
        """See `Encoding`."""
        # Joined once: a batch is as large as hundreds of spans.
        size = len(self._scope) + sum(map(len, spans))
        inner = b"\x12%b" % _varint(size)
        outer = b"\x0a%b" % _varint(len(self._resource) + len(inner) + size)
        return b"".join([outer, self._resource, inner, self._scope, *spans])


class Json:
    """OTLP in JSON, a request a line, as collectors read it from a file.

    Args:
        resource: the attributes of this server.
        version: the version of this package.
    """

    content_type = "application/json"

    def __init__(self, resource: Mapping[str, Any], version: str) -> None:
        told = json.dumps({"attributes": [_in_json(*pair) for pair in resource.items()]})
        scope = json.dumps({"name": SCOPE, "version": version})
        self._head = f'{{"resourceSpans": [{{"resource": {told}, "scopeSpans": [{{"scope": {scope}, "spans": ['.encode()

    def attributes(self, pairs: Iterable[tuple[str, Any]]) -> bytes:
        """See `Encoding`."""
        return ", ".join([json.dumps(_in_json(*pair)) for pair in pairs]).encode()

    def span(self, span: Span) -> bytes:
        """See `Encoding`."""
        told: dict[str, Any] = {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex()}
        if span.parent_id:
            told["parentSpanId"] = span.parent_id.hex()
        if span.state:
            told["traceState"] = span.state
        told |= {
            "name": span.name,
            "kind": span.kind,
            "startTimeUnixNano": str(span.began),
            "endTimeUnixNano": str(span.ended),
        }
        if span.events:
            told["events"] = [
                {"name": name, "timeUnixNano": str(at), "attributes": [_in_json(*pair) for pair in attributes]}
                for name, at, attributes in span.events
            ]
        if span.failed:
            told["status"] = {"code": _ERROR} | ({"message": span.message} if span.message else {})
        attributes = b", ".join(filter(None, (*span.common, self.attributes(span.attributes.items()))))
        return json.dumps(told).encode()[:-1] + b', "attributes": [' + attributes + b"]}"

    def batch(self, spans: Sequence[bytes]) -> bytes:
        """See `Encoding`."""
        return self._head + b", ".join(spans) + b"]}]}]}\n"


class Plain:
    """A flat JSON object for each span, on a line of its own, for people to read."""

    content_type = "application/jsonl"

    def attributes(self, pairs: Iterable[tuple[str, Any]]) -> bytes:
        """See `Encoding`."""
        return json.dumps(dict(pairs)).encode()[1:-1]

    def span(self, span: Span) -> bytes:
        """See `Encoding`."""
        told: dict[str, Any] = {
            "name": span.name,
            "ms": round((span.ended - span.began) / 1e6, 3),
            "trace": span.trace_id.hex(),
            "span": span.span_id.hex(),
        }
        if span.parent_id:
            told["parent"] = span.parent_id.hex()
        if span.failed:
            told["failed"] = span.message or True
        for name, at, attributes in span.events or ():
            told[name] = {"ms": round((at - span.began) / 1e6, 3), **dict(attributes)}
        parts = (json.dumps(told).encode()[1:-1], *span.common, self.attributes(span.attributes.items()))
        return b"{" + b", ".join(filter(None, parts)) + b"}\n"

    def batch(self, spans: Sequence[bytes]) -> bytes:
        """See `Encoding`."""
        return b"".join(spans)


def _in_json(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": _json_value(value)}


def _json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"arrayValue": {"values": [_json_value(one) for one in value]}}
