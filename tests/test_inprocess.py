from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from jan_core.inprocess import AppTransport, client
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import SCRIPTED, wired
from tests.parts import chat_body, part, until


def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ScriptedChat]:
    chat = ScriptedChat()
    named = {"models-memory": SCRIPTED["models-memory"], "chat-seen": part(monkeypatch, "s", provide_chat=lambda: chat)}
    return wired(tmp_path, modules=named), chat


@pytest.mark.anyio
async def test_the_official_client_without_a_server(tmp_path: Path) -> None:
    async with wired(tmp_path) as jan, client(jan) as http:
        api = openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="x", http_client=http, max_retries=0)
        message: Any = {"role": "user", "content": "a b c"}
        reply = await api.chat.completions.create(model="scripted", messages=[message])
        assert reply.choices[0].message.content == "a b c "
        assert reply.usage is not None
        assert reply._request_id.startswith("req_")
        stream = await api.chat.completions.create(model="scripted", messages=[message], stream=True)
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["", "a ", "b ", "c ", None]
        assert [model.id async for model in api.models.list()] == ["scripted"]
        with pytest.raises(openai.NotFoundError) as caught:
            await api.models.retrieve("none")
        assert caught.value.code == "model_not_found"
        script: Any = {"role": "user", "content": '{"say": ["a", "b"], "fail": "engine_error", "fail_after": 1}'}
        broken = await api.chat.completions.create(model="scripted", messages=[script], stream=True)
        with pytest.raises(openai.APIError, match="the engine failed"):
            async for _ in broken:
                pass


@pytest.mark.anyio
async def test_pieces_come_as_they_are_sent_and_a_slow_reader_holds_the_engine_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jan, chat = scripted(tmp_path, monkeypatch)
    async with jan, client(jan) as http:
        body = chat_body({"say": ["x"] * 500}, stream=True)
        async with http.stream("POST", "chat/completions", json=body) as reply:
            for _ in range(2000):
                await asyncio.sleep(0)
            assert 0 < chat.said < 100
            assert len([line async for line in reply.aiter_lines() if line]) == 503
        assert chat.said == 500


@pytest.mark.anyio
async def test_leaving_a_response_ends_its_request_before_the_block_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jan, chat = scripted(tmp_path, monkeypatch)
    async with jan, client(jan) as http:
        body = chat_body({"say": ["x"], "hang": True}, stream=True)
        async with http.stream("POST", "chat/completions", json=body):
            assert chat.open == 1
        assert (chat.open, chat.closed, len(jan.under_way)) == (0, 1, 0)


@pytest.mark.anyio
async def test_cancelling_a_request_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jan, chat = scripted(tmp_path, monkeypatch)
    async with jan, client(jan) as http:
        for asked in (False, True):
            body = chat_body({"hang": True, "say": []}, stream=asked, n=1)
            task = asyncio.create_task(http.post("chat/completions", json=body))
            await until(lambda: chat.open > 0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert (chat.open, len(jan.under_way)) == (0, 0)


@pytest.mark.anyio
async def test_cancelling_while_a_reply_is_read_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jan, chat = scripted(tmp_path, monkeypatch)
    async with jan, client(jan) as http:
        before = asyncio.all_tasks()
        body = chat_body({"say": ["x"], "hang": True}, stream=True)

        async def read() -> None:
            async with http.stream("POST", "chat/completions", json=body) as reply:
                async for _ in reply.aiter_bytes():
                    pass

        task = asyncio.create_task(read())
        await until(lambda: chat.said > 0)
        await asyncio.wait({task}, timeout=0.05)
        task.cancel()
        await asyncio.wait({task})
        await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.anyio
async def test_what_the_app_raises_reaches_the_caller_and_no_reply_is_an_error() -> None:
    async def raises(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("inside")

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        return None

    async def halfway(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise LookupError("halfway")

    for app, error in ((raises, LookupError), (silent, httpx2.RemoteProtocolError), (halfway, LookupError)):
        async with httpx2.AsyncClient(transport=AppTransport(app), base_url="http://localhost") as http:
            with pytest.raises(error):
                await http.get("/")


@pytest.mark.anyio
async def test_the_app_sees_what_a_server_would_show_it() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        seen.append(await receive())
        await send({"type": "http.response.start", "status": 204, "headers": [(b"x-a", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async with httpx2.AsyncClient(transport=AppTransport(app), base_url="http://localhost:99") as http:
        reply = await http.post("/a%2Fb/c?x=1&y=%20", content=b"body", headers={"X-Caps": "v"})
    assert (reply.status_code, reply.headers["x-a"], reply.content) == (204, "1", b"")
    scope, message = seen
    assert (scope["type"], scope["method"], scope["path"]) == ("http", "POST", "/a/b/c")
    assert (scope["raw_path"], scope["query_string"]) == (b"/a%2Fb/c", b"x=1&y=%20")
    assert (b"x-caps", b"v") in scope["headers"]
    assert dict(scope["headers"])[b"host"] == b"localhost:99"
    assert message == {"type": "http.request", "body": b"body", "more_body": False}
