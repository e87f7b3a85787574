from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from jan_tracing_otel.encoding import SCOPE, Encoding, Json, Plain, Protobuf
from jan_tracing_otel.spans import INTERNAL, SERVER, Span, begun, new_span_id
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

RESOURCE = {"service.name": "jan", "process.pid": 7}
VALUES = some.one_of(
    some.text(),
    some.text(min_size=50, max_size=200),
    some.booleans(),
    some.integers(-(2**63), 2**63 - 1),
    some.floats(allow_nan=False),
    some.lists(some.text(), max_size=3).map(tuple),
)
ATTRIBUTES = some.dictionaries(some.text(min_size=1, max_size=60), VALUES, max_size=6)


def a_span(**fields: Any) -> Span:
    span = begun(fields.pop("kind", INTERNAL), None)
    span.identify()
    span.name, span.common = "a name", ()
    span.ended = span.began + 1
    for name, value in fields.items():
        setattr(span, name, value)
    return span


def decoded(*spans: Span) -> Any:
    encoding = Protobuf(RESOURCE, "1.2")
    asked = ExportTraceServiceRequest.FromString(encoding.batch([encoding.span(span) for span in spans]))
    (of_resource,) = asked.resource_spans
    (of_scope,) = of_resource.scope_spans
    assert {one.key: value_of(one.value) for one in of_resource.resource.attributes} == RESOURCE
    assert (of_scope.scope.name, of_scope.scope.version) == (SCOPE, "1.2")
    return of_scope.spans


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(value_of(one) for one in value.array_value.values)
    return getattr(value, kind)


def test_protobuf_holds_everything_that_a_span_has() -> None:
    parent = new_span_id()
    span = a_span(kind=SERVER, parent_id=parent, state="a=1", failed=True, message="so \u00e4h")
    span.event("first", ("x", 1))
    span.event("second")
    (got,) = decoded(span)
    assert (got.trace_id, got.span_id, got.parent_span_id) == (span.trace_id, span.span_id, parent)
    assert (got.name, got.kind, got.trace_state) == ("a name", 2, "a=1")
    assert (got.start_time_unix_nano, got.end_time_unix_nano) == (span.began, span.ended)
    assert (got.status.code, got.status.message) == (2, "so \u00e4h")
    assert span.events is not None
    assert [(one.name, one.time_unix_nano) for one in got.events] == [one[:2] for one in span.events]
    assert value_of(got.events[0].attributes[0].value) == 1


def test_protobuf_leaves_out_what_there_is_not() -> None:
    first, second = decoded(a_span(), a_span())
    assert (first.parent_span_id, first.trace_state, first.status.code, first.kind) == (b"", "", 0, 1)
    assert first.span_id != second.span_id


@given(ATTRIBUTES, ATTRIBUTES)
def test_protobuf_gives_any_attributes_back(common: dict[str, Any], own: dict[str, Any]) -> None:
    span = a_span(attributes=own, common=(Protobuf(RESOURCE, "1").attributes(common.items()),))
    (got,) = decoded(span)
    assert [(one.key, value_of(one.value)) for one in got.attributes] == [*common.items(), *own.items()]


def test_half_a_surrogate_pair_does_not_break_a_batch() -> None:
    (got,) = decoded(a_span(name="\ud83d", attributes={"k": "\ud83d"}))
    assert (got.name, value_of(got.attributes[0].value)) == ("?", "?")


@pytest.mark.parametrize("size", [55, 59, 60, 61, 123, 124, 127, 128, 129, 16383, 16384, 100_000])
def test_every_length_is_written_right(size: int) -> None:
    for key in ("k", "gen_ai.usage.reasoning.output_tokens", "k" * 63, "k" * 64, "k" * 300):
        (got,) = decoded(a_span(attributes={key: "x" * size}, name="n" * size))
        assert (got.attributes[0].key, value_of(got.attributes[0].value)) == (key, "x" * size)
        assert got.name == "n" * size


def test_json_is_that_of_otlp() -> None:
    encoding = Json(RESOURCE, "1.2")
    span = a_span(parent_id=b"\x01" * 8, state="a=1", failed=True, attributes={"n": 5, "b": True, "l": ("x",)})
    span.common = encoding.attributes([("f", 0.5)]), encoding.attributes([("t", "\u00e4")])
    span.event("first", ("x", "y"))
    line = encoding.batch([encoding.span(span), encoding.span(a_span())])
    assert line.count(b"\n") == 1
    (of_resource,) = json.loads(line)["resourceSpans"]
    assert {"key": "process.pid", "value": {"intValue": "7"}} in of_resource["resource"]["attributes"]
    (of_scope,) = of_resource["scopeSpans"]
    assert of_scope["scope"] == {"name": SCOPE, "version": "1.2"}
    first, second = of_scope["spans"]
    assert span.events is not None
    assert first == {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": "01" * 8,
        "traceState": "a=1",
        "name": "a name",
        "kind": 1,
        "startTimeUnixNano": str(span.began),
        "endTimeUnixNano": str(span.ended),
        "attributes": [
            {"key": "f", "value": {"doubleValue": 0.5}},
            {"key": "t", "value": {"stringValue": "\u00e4"}},
            {"key": "n", "value": {"intValue": "5"}},
            {"key": "b", "value": {"boolValue": True}},
            {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
        ],
        "events": [
            {
                "name": "first",
                "timeUnixNano": str(span.events[0][1]),
                "attributes": [{"key": "x", "value": {"stringValue": "y"}}],
            }
        ],
        "status": {"code": 2},
    }
    assert second["attributes"] == []


def test_a_plain_line_is_a_flat_object() -> None:
    encoding = Plain()
    span = a_span(parent_id=b"\x01" * 8, attributes={"n": 5}, failed=True)
    span.ended = span.began + 1_500_000
    span.common = (encoding.attributes([("t", "x")]), b"")
    line = encoding.batch([encoding.span(span)])
    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "name": "a name",
        "ms": 1.5,
        "trace": span.trace_id.hex(),
        "span": span.span_id.hex(),
        "parent": "01" * 8,
        "failed": True,
        "t": "x",
        "n": 5,
    }
    assert json.loads(encoding.span(a_span()))["name"] == "a name"


@pytest.mark.parametrize("encoding", [Protobuf(RESOURCE, "1"), Json(RESOURCE, "1"), Plain()])
def test_each_is_an_encoding(encoding: Encoding) -> None:
    assert "/" in encoding.content_type
    assert encoding.attributes([]) == b""
    assert encoding.span(a_span())
