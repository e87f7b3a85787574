from __future__ import annotations

import pytest
from jan_tracing_otel.spans import (
    INTERNAL,
    SERVER,
    begun,
    read_traceparent,
    read_tracestate,
)

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_ids_are_of_their_length_and_differ() -> None:
    made = [begun(INTERNAL, None) for _ in range(1000)]
    for one in made:
        one.identify()
    traces = {one.trace_id for one in made}
    spans = {one.span_id for one in made}
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


@pytest.mark.parametrize("first_written", ["parent", "child"])
def test_a_span_has_the_ids_and_the_server_of_its_trace_whichever_is_written_first(first_written: str) -> None:
    top = begun(SERVER, None)
    top.trace_id, top.state, top.server = bytes.fromhex(TRACE), "a=1", ("localhost", 80)
    below = begun(INTERNAL, top)
    lowest = begun(INTERNAL, below)
    for one in (top, below, lowest) if first_written == "parent" else (lowest, below, top):
        one.identify()
    assert {one.trace_id for one in (top, below, lowest)} == {bytes.fromhex(TRACE)}
    assert (top.parent_id, below.parent_id, lowest.parent_id) == (b"", top.span_id, below.span_id)
    assert len({top.span_id, below.span_id, lowest.span_id} - {b""}) == 3
    assert (lowest.state, lowest.server) == ("a=1", ("localhost", 80))
