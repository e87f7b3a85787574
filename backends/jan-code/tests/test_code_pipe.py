"""Requests over the pipe, with the test as the server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from jan_code.pipe import BrokenOff, Pipe, Reply

pytestmark = pytest.mark.anyio


class Server:
    """What a pipe sends."""

    def __init__(self, most: int = 2, longest: int = 100) -> None:
        self.sent: list[dict[str, Any]] = []
        self.pipe = Pipe(self.sent.append, most, longest)

    def ask(self, body: bytes = b"{}") -> asyncio.Task[Reply]:
        headers = [("Content-Type", "application/json"), ("authorization", "Bearer x"), ("x-stainless-os", "Linux")]
        return asyncio.create_task(self.pipe.ask("POST", "/v1/x?a=1", headers, body))

    def requests(self) -> list[dict[str, Any]]:
        return [one["request"] for one in self.sent if "request" in one]

    async def tell(self, kind: str, number: int, **more: Any) -> None:
        self.pipe.take({kind: {"number": number, **more}})
        await asyncio.sleep(0.01)


async def test_a_request_and_its_reply_in_pieces() -> None:
    server = Server()
    task = server.ask(b'{"a": "\xc3\xa9"}')
    await asyncio.sleep(0)
    (told,) = server.requests()
    number = told.pop("number")
    assert told == {
        "method": "POST",
        "path": "/v1/x?a=1",
        "headers": [["Content-Type", "application/json"]],
        "body": '{"a": "Ã©"}',
    }
    await server.tell("reply", number, status=200, headers=[["content-type", "text/plain"]])
    reply = await task
    assert (reply.status, reply.headers, reply.ended) == (200, [("content-type", "text/plain")], False)
    await server.tell("piece", number, bytes="Ã")
    pieces = aiter(reply)
    assert await anext(pieces) == b"\xc3"
    await server.tell("piece", number, bytes="©")
    await server.tell("end", number)
    assert [one async for one in pieces] == [b"\xa9"]
    reply.leave()
    assert len(server.sent) == 1


async def test_no_more_than_so_many_at_once_and_a_left_one_counts_until_it_has_ended() -> None:
    server = Server(most=2)
    tasks = [server.ask() for n in range(3)]
    await asyncio.sleep(0.01)
    first, second = [one["number"] for one in server.requests()]
    await server.tell("reply", first, status=200, headers=[])
    (await tasks[0]).leave()
    tasks[1].cancel()
    await asyncio.sleep(0.01)
    assert [one for one in server.sent if "leave" in one] == [{"leave": {"number": n}} for n in (first, second)]
    assert len(server.requests()) == 2
    await server.tell("piece", first, bytes="not read any more")
    await server.tell("end", first)
    assert len(server.requests()) == 3
    await server.tell("end", second)
    tasks[2].cancel()


async def test_what_breaks_off_says_why() -> None:
    server = Server()
    task = server.ask()
    await asyncio.sleep(0)
    await server.tell("end", server.requests()[0]["number"], error="no reply")
    with pytest.raises(BrokenOff, match="no reply"):
        await task
    task = server.ask()
    await asyncio.sleep(0)
    number = server.requests()[1]["number"]
    await server.tell("reply", number, status=200, headers=[])
    await server.tell("piece", number, bytes="x")
    await server.tell("end", number, error="it broke")
    with pytest.raises(BrokenOff, match="it broke"):
        await (await task).body()


async def test_a_body_that_is_too_long_is_refused_here() -> None:
    server = Server(longest=10)
    reply = await server.ask(b"x" * 11)
    assert (reply.status, server.sent) == (413, [])
    assert "output_bytes" in json.loads(await reply.body())["error"]["message"]
    reply.leave()


async def test_what_belongs_to_no_request_is_passed_over() -> None:
    server = Server()
    await server.tell("piece", 12345678, bytes="x")
    server.pipe._loop = asyncio.new_event_loop()
    server.pipe._loop.close()  # as that of a run which is over
    server.pipe.take({"end": {"number": 1}})
