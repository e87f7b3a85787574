"""Requests of code, answered by an app, without a process in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_code import serving
from jan_code.frames import AT_ONCE, NoFrame
from jan_code.pipe import BrokenOff

from jan_core import call
from jan_core.asgi import create_app
from jan_core.testing.wired import wired

from .wires import JSON, Wire

pytestmark = pytest.mark.anyio


def asked(*script: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": one} for one in script]
    return json.dumps({"model": "scripted", "messages": messages, **more}).encode()


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(tmp_path, {"server": {"log_requests": False}}) as jan:
        wire = Wire(create_app(jan))
        yield wire
        await wire.serving.aclose()


async def test_a_request_is_answered_and_its_tokens_are_counted(wire: Wire) -> None:
    reply = await wire.pipe.ask("POST", "/v1/chat/completions", JSON, asked("Hà Nội"))
    assert (reply.status, dict(reply.headers)["content-type"]) == (200, "application/json")
    assert json.loads(await reply.body())["choices"][0]["message"]["content"] == "Hà Nội "
    await asyncio.sleep(0)
    assert wire.used == [(2, 2)]


async def test_paths_and_queries(wire: Wire) -> None:
    reply = await wire.pipe.ask("GET", "/v1/models?x=1", [], b"")
    assert json.loads(await reply.body())["data"][0]["id"] == "scripted"
    reply = await wire.pipe.ask("GET", "/v1/models/a%2Fb%20c", [], b"")
    assert reply.status == 404
    assert "'a/b c'" in json.loads(await reply.body())["error"]["message"]
    reply = await wire.pipe.ask("HEAD", "/health", [], b"")
    assert (reply.status, await reply.body()) == (200, b"")
    assert wire.used == []


async def test_a_stream_arrives_piece_by_piece_and_can_be_left(wire: Wire) -> None:
    body = asked('{"say": ["a", "b"], "hang": true}', stream=True)
    reply = await wire.pipe.ask("POST", "/v1/chat/completions", JSON, body)
    pieces = aiter(reply)
    while b'"b"' not in await anext(pieces):
        pass
    reply.leave()
    async with asyncio.timeout(2):
        while wire.serving._going:
            await asyncio.sleep(0.01)
    assert "end" in wire.told[-1]


async def test_what_goes_on_when_the_run_is_over_is_ended(wire: Wire) -> None:
    body = asked('{"say": ["a"], "hang": true}', stream=True)
    await wire.pipe.ask("POST", "/v1/chat/completions", JSON, body)
    wire.serving.leave(9999)
    wire.serving.leave("x")
    await wire.serving.aclose()
    assert not wire.serving._going


async def test_a_process_that_reads_nothing_is_waited_for(wire: Wire) -> None:
    wire.readable.clear()
    asking = asyncio.ensure_future(wire.pipe.ask("POST", "/v1/chat/completions", JSON, asked("x", stream=True)))
    await asyncio.sleep(0.1)
    assert wire.told == []
    wire.readable.set()
    assert b"[DONE]" in await (await asking).body()


async def test_it_is_not_sent_ever_more_replies_either(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["method"])
        if asked[-1] == "GET":
            await receive()
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    monkeypatch.setattr(serving, "PATIENCE", 0.05)
    wire = Wire(app)
    wire.readable.clear()
    for number in range(AT_ONCE):
        wire.serving.begin({**GOOD, "number": number, "method": "GET" if number % 2 else "HEAD"})
        wire.serving.leave(number if number % 2 else None)
    async with asyncio.timeout(20):
        while len(asked) < AT_ONCE:
            await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert wire.told == []
    with pytest.raises(NoFrame, match="more than 8 requests"):
        wire.serving.begin({**GOOD, "number": 100})
    wire.readable.set()
    async with asyncio.timeout(20):
        while wire.serving._going:
            await asyncio.sleep(0)
    assert sorted(next(iter(one)) for one in wire.told) == ["end"] * AT_ONCE + ["reply"] * (AT_ONCE // 2)
    wire.told.clear()
    wire.readable.clear()
    wire.serving.begin({**GOOD, "number": 200})
    await wire.serving.aclose()
    assert [one["end"]["number"] for one in wire.told] == [200]


async def test_an_app_that_fails_or_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a defect")

    async def says_nothing(scope: Any, receive: Any, send: Any) -> None:
        pass

    async def clings(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await asyncio.sleep(60)

    for app in (fails, says_nothing):
        with pytest.raises(BrokenOff, match="the server could not answer"):
            await Wire(app).pipe.ask("GET", "/", [], b"")
    assert "a defect" in caplog.text
    wire = Wire(clings)
    await wire.pipe.ask("GET", "/", [], b"")
    await wire.serving.aclose()
    assert not wire.serving._going


async def test_whose_name_it_is_in() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((call.inside(scope), scope["headers"]))

    call.enter(call.Call("req", key_name="anna"))
    headers = [("Authorization", "Bearer x"), ("Host", "evil"), ("Origin", "http://evil"), ("Accept", "*/*")]
    wire = Wire(app)
    with pytest.raises(BrokenOff):
        await wire.pipe.ask("GET", "/", headers, b"")
    ((inside, given),) = seen
    assert inside == call.Inside("anna")
    assert given == [(b"accept", b"*/*"), (b"host", b"localhost"), (b"content-length", b"0")]


GOOD = {"number": 1, "method": "GET", "path": "/", "headers": [], "body": ""}


@pytest.mark.parametrize(
    "bad",
    [
        {"number": "1"},
        {"number": True},
        {"method": "TRACE"},
        {"method": 5},
        {"method": []},
        {"method": {}},
        {"path": "models"},
        {"path": "http://elsewhere/"},
        {"path": "/é"},
        {"path": "/" + "x" * 20_000},
        {"headers": [["accept", "x" * 20_000]]},
        {"headers": [["accept"]]},
        {"headers": [["accept", 5]]},
        {"headers": 5},
        {"body": "€"},
        {"body": None},
    ],
)
async def test_what_is_no_request_is_told(wire: Wire, bad: dict[str, Any]) -> None:
    with pytest.raises(NoFrame, match="wrote into the server's channel"):
        wire.serving.begin({**GOOD, **bad})
    for name in GOOD:
        with pytest.raises(NoFrame):
            wire.serving.begin({key: value for key, value in GOOD.items() if key != name})


async def test_too_long_too_many_and_one_twice() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    wire = Wire(app, longest=10)
    with pytest.raises(NoFrame, match="a request of 11 bytes, and 10 are the most"):
        wire.serving.begin({**GOOD, "body": "x" * 11})
    for number in range(AT_ONCE - 1):
        wire.serving.begin({**GOOD, "number": number})
    with pytest.raises(NoFrame, match="wrote into"):
        wire.serving.begin({**GOOD, "number": 0})
    wire.serving.begin({**GOOD, "number": 100})
    with pytest.raises(NoFrame, match="more than 8 requests"):
        wire.serving.begin({**GOOD, "number": 101})
    await wire.serving.aclose()
