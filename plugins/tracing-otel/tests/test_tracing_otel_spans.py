from __future__ import annotations

import pytest
from jan_tracing_otel.spans import (
    INTERNAL,
    Span,
    read_traceparent,
    read_tracestate,
)

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_ids_are_of_their_length_and_differ() -> None:
    traces = {Span(INTERNAL).trace_id for _ in range(1000)}
    spans = {Span(INTERNAL).span_id for _ in range(1000)}
    assert (len(traces), len(spans)) == (1000, 1000)
    assert {len(one) for one in traces} == {16}
    assert {len(one) for one in spans} == {8}


@pytest.mark.parametrize(("flags", "kept"), [("01", True), ("00", False), ("03", True), ("02", False)])
def test_a_traceparent_is_read(flags: str, kept: bool) -> None:
    found = read_traceparent(f"00-{TRACE}-{PARENT}-{flags}".encode())
    assert found == (bytes.fromhex(TRACE), bytes.fromhex(PARENT), kept)


def test_a_later_version_may_say_more() -> None:
    assert read_traceparent(f"01-{TRACE}-{PARENT}-01-more".encode()) is not None
    assert read_traceparent(f"00-{TRACE}-{PARENT}-01-more".encode()) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{TRACE}-{PARENT}-01",
    ],
)
def test_what_is_no_traceparent_is_none(header: str) -> None:
    assert read_traceparent(header.encode()) is None


def test_a_tracestate_is_joined_and_bounded() -> None:
    assert read_tracestate([b"a=1", b"b=2"]) == "a=1,b=2"
    assert read_tracestate([]) == ""
    assert read_tracestate([b"a=" + b"x" * 600]) == ""
    assert read_tracestate([b"a=\xff"]) == ""
