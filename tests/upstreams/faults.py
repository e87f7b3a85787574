"""What an upstream does wrong when it is told to: each function is one fault, by the name that commands have for it."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.upstreams.answers import event
from tests.upstreams.wire import Exchange

HUGE = 1 << 16


@dataclass
class Fault:
    """A command to do something wrong.

    Attributes:
        kind: the fault's name: one of `BEFORE` or of `WITHIN`.
        times: how often; None for always.
        after: how many events of a stream come before it.
        status: of the answer, for `status`.
        headers: of the answer, for `status` and `redirect`.
        body: of the answer for `status`; of the event for `event`; an array of raw events for `raw`.
        everywhere: also for other requests than those for answers.
    """

    kind: str
    times: int | None = None
    after: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    everywhere: bool = False


async def hang(on: Exchange, fault: Fault) -> None:
    """No byte comes."""
    await on.hang()


async def reset(on: Exchange, fault: Fault) -> None:
    """The connection is cut without a byte."""
    on.abort()


async def close(on: Exchange, fault: Fault) -> None:
    """The connection is closed without a byte."""
    on.keep = False


async def leave(on: Exchange, fault: Fault) -> None:
    """The process ends."""
    os._exit(9)


async def status(on: Exchange, fault: Fault) -> None:
    """An answer with another status."""
    said = {"error": {"message": "told to fail", "type": "server_error", "code": None, "param": None}}
    await on.reply(fault.status, said if fault.body is None else fault.body, fault.headers)


async def no_http(on: Exchange, fault: Fault) -> None:
    """What comes is no HTTP."""
    await on.write(b"\x00\xff\x16\x03nothing that anybody would read\r\n\r\n")
    on.abort()


async def half_head(on: Exchange, fault: Fault) -> None:
    """The head breaks off."""
    await on.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-")
    on.abort()


async def endless_head(on: Exchange, fault: Fault) -> None:
    """The head never ends."""
    await on.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await on.write(b"x-more: " + b"a" * HUGE + b"\r\n")


async def html(on: Exchange, fault: Fault) -> None:
    """A page instead of an answer."""
    await on.reply(200, "<html><body>Welcome to nginx!</body></html>")


async def no_json(on: Exchange, fault: Fault) -> None:
    """An answer that says it is JSON."""
    await on.reply(200, b'{"choices": [{"index": 0, "mess')


async def other_json(on: Exchange, fault: Fault) -> None:
    """JSON that is no answer."""
    await on.reply(200, fault.body if fault.body is not None else {"choices": "none", "usage": []})


async def short_body(on: Exchange, fault: Fault) -> None:
    """Less comes than the head says."""
    await on.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"id": "a"')
    on.abort()


async def endless_body(on: Exchange, fault: Fault) -> None:
    """One answer without an end."""
    await on.begin("application/json")
    await on.piece(b'{"id": "')
    while True:
        await on.piece(b"a" * HUGE)


BEFORE: dict[str, Callable[[Exchange, Fault], Awaitable[None]]] = {
    "hang": hang,
    "reset": reset,
    "close": close,
    "leave": leave,
    "status": status,
    "no-http": no_http,
    "half-head": half_head,
    "endless-head": endless_head,
    "html": html,
    "no-json": no_json,
    "other-json": other_json,
    "short-body": short_body,
    "endless-body": endless_body,
}
"""Faults instead of an answer."""


async def die(on: Exchange, fault: Fault) -> None:
    """The connection is cut."""
    on.abort()


async def end_early(on: Exchange, fault: Fault) -> None:
    """The stream ends as streams end, but for what says that the answer has."""
    await on.end()


async def half_event(on: Exchange, fault: Fault) -> None:
    """Half an event, and the end of the reply."""
    await on.piece(b'data: {"id": "a", "object": "chat.completion.chunk", "choi')
    await on.end()


async def half_event_cut(on: Exchange, fault: Fault) -> None:
    """Half an event, and the connection is cut."""
    await on.piece(b'data: {"id": "a", "object": "chat.completion.chunk", "choi')
    on.abort()


async def garbage(on: Exchange, fault: Fault) -> None:
    """An event that is no JSON."""
    await on.piece(b"data: {nothing}\n\n")
    await on.hang()


async def no_text(on: Exchange, fault: Fault) -> None:
    """Bytes that are no UTF-8."""
    await on.piece(b'data: {"choices": [{"index": 0, "delta": {"content": "\xff\xfe\xc3"}}]}\n\n')
    await on.hang()


async def no_chunk(on: Exchange, fault: Fault) -> None:
    """Bytes that are no piece of a reply."""
    await on.write(b"zzzz\r\nnothing\r\n")
    await on.hang()


async def other_events(on: Exchange, fault: Fault) -> None:
    """Events that are JSON, and none of this API's."""
    for told in ([1, 2], "text", {"choices": "x"}, {"choices": [{"index": "first"}]}):
        await on.piece(event(told))
    await on.hang()


async def endless_line(on: Exchange, fault: Fault) -> None:
    """A line that never ends."""
    await on.piece(b'data: {"choices": [{"index": 0, "delta": {"content": "')
    while True:
        await on.piece(b"a" * HUGE)


async def endless_event(on: Exchange, fault: Fault) -> None:
    """An event of lines without end."""
    while True:
        await on.piece(b"data: " + b"a" * 1000 + b"\n")


async def hang_within(on: Exchange, fault: Fault) -> None:
    """Nothing more comes."""
    await on.hang()


async def error_event(on: Exchange, fault: Fault) -> None:
    """An error as an event, and the end."""
    said = {"error": {"message": "the GPU fell off the bus", "type": "server_error", "code": 500}}
    await on.piece(event(said if fault.body is None else fault.body))
    await on.end()


async def flood(on: Exchange, fault: Fault) -> None:
    """Pieces of text as fast as they are taken, without end."""
    head = {"id": "chatcmpl-flood", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    choice = {"index": 0, "delta": {"content": "word " * 200}, "finish_reason": None}
    data = event({**head, "choices": [choice]})
    while True:
        await on.piece(data)


async def raw(on: Exchange, fault: Fault) -> None:
    """The bytes of the command, then the end."""
    for told in fault.body:
        await on.piece(told.encode())
    await on.end()


WITHIN: dict[str, Callable[[Exchange, Fault], Awaitable[None]]] = {
    "die": die,
    "end-early": end_early,
    "half-event": half_event,
    "half-event-cut": half_event_cut,
    "garbage": garbage,
    "no-text": no_text,
    "no-chunk": no_chunk,
    "other-events": other_events,
    "endless-line": endless_line,
    "endless-event": endless_event,
    "hang-within": hang_within,
    "error-event": error_event,
    "flood": flood,
    "raw": raw,
}
"""Faults in the middle of a stream. A reply that is no stream is cut in the middle by all of them, or hangs there."""


async def within(on: Exchange, fault: Fault, whole: bytes | None) -> None:
    """Do a fault in the middle of an answer.

    Args:
        on: the request; the head of its answer is written.
        fault: which.
        whole: the answer, where it is no stream.
    """
    if whole is None:
        await WITHIN[fault.kind](on, fault)
        return
    told = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(whole)
    await on.write(told + whole[: len(whole) // 2])
    if fault.kind == "hang-within":
        await on.hang()
    on.abort()


def read(told: Any) -> Fault | None:
    """A fault from its command; None where there is none.

    Raises:
        ValueError: there is no such fault.
    """
    if told is None:
        return None
    fault = Fault(**told)
    if fault.kind not in BEFORE | WITHIN:
        raise ValueError(f"there is no fault {fault.kind!r}")
    return fault


def of_message(body: Any) -> Fault | None:
    """The fault that a request carries in its last message or its prompt, as `{"fault": {…}}`; None where none."""
    try:
        said = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        told = json.loads(said)
        return read(told.pop("fault")) if isinstance(told, dict) else None
    except (KeyError, TypeError, ValueError, IndexError):
        return None
