from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from jan_core import http as kernel
from jan_core.app import Jan
from jan_core.endpoints.chat import Chat
from jan_core.endpoints.models import Models
from jan_core.errors import Busy, Conflict
from jan_core.inprocess import client
from jan_core.refusal import Refusal
from jan_core.requests import UnderWay
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.threads import ThreadsQuery
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import CONVERSATIONS, SCRIPTED, wired
from tests.notes import NotesInMemory
from tests.parts import NOTES, chat_body, datas, part, plugins, until
from tests.pinned import spec

URL = "chat/completions"


class Parts:
    """An app on a scripted engine that the test can look into."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chat, self.notes = ScriptedChat(), NotesInMemory()
        modules = {
            "models-memory": SCRIPTED["models-memory"],
            "chat-seen": part(monkeypatch, "chat-seen", provide_chat=lambda: self.chat),
            "notes-memory": part(monkeypatch, "notes-memory", provide_notes=lambda: self.notes),
        }
        self.build = lambda **named: wired(tmp_path, modules=modules, **NOTES, **named)


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    return Parts(tmp_path, monkeypatch)


async def stream(http: Any, script: Any, **fields: Any) -> tuple[Any, bytes]:
    reply = await http.post(URL, json=chat_body(script, stream=True, **fields))
    return reply, reply.content


@pytest.mark.anyio
async def test_a_reply_and_a_stream_as_the_api_has_them(parts: Parts) -> None:
    async with parts.build() as jan, client(jan) as http:
        plain = await http.post(URL, json=chat_body("a b"))
        assert (plain.status_code, plain.headers["content-type"]) == (200, "application/json")
        assert int(plain.headers["content-length"]) == len(plain.content)
        spec().validate("POST", "/v1/chat/completions", 200, plain.json())
        reply, raw = await stream(http, "a b")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["cache-control"] == "no-cache"
        assert "content-length" not in reply.headers
        *chunks, done = datas(raw)
        assert done == "[DONE]"
        for chunk in chunks:
            spec().validate_chunk("/v1/chat/completions", chunk)
        text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
        assert text == plain.json()["choices"][0]["message"]["content"] == "a b "
        assert (parts.chat.open, parts.chat.closed) == (0, 2)


@pytest.mark.anyio
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    ("fail", "status", "code"),
    [
        ("queue_full", 429, "queue_full"),
        ("context_length_exceeded", 400, "context_length_exceeded"),
        ("engine_error", 503, "engine_error"),
        ("anything else", 500, "internal_error"),
    ],
)
async def test_an_error_before_the_first_event_is_a_real_status(
    parts: Parts, caplog: pytest.LogCaptureFixture, fail: str, status: int, code: str, asked: bool
) -> None:
    async with parts.build() as jan, client(jan) as http:
        reply = await http.post(URL, json=chat_body({"fail": fail}, stream=asked))
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/json")
    error = reply.json()["error"]
    assert error["code"] == code
    spec().validate("POST", "/v1/chat/completions", status, reply.json())
    if fail == "queue_full":
        assert reply.headers["retry-after"] == "7"
    if status == 500:
        assert reply.headers["x-request-id"] in error["message"]
        assert "anything else" not in reply.text  # the defect's text is for the log
        assert any(record.exc_info and "anything else" in str(record.exc_info[1]) for record in caplog.records)
        assert reply.headers["x-request-id"] in caplog.text
    assert (parts.chat.open, parts.chat.closed) == (0, 1)


@pytest.mark.anyio
@pytest.mark.parametrize(("fail", "code"), [("engine_error", "engine_error"), ("anything else", "internal_error")])
async def test_an_error_after_the_first_event_is_an_event_and_then_the_end(
    parts: Parts, caplog: pytest.LogCaptureFixture, fail: str, code: str
) -> None:
    script = {"say": ["x", "y"], "fail": fail, "fail_after": 1}
    async with parts.build() as jan, client(jan) as http:
        reply, raw = await stream(http, script)
        plain = await http.post(URL, json=chat_body(script))
    assert reply.status_code == 200
    *chunks, error = datas(raw)
    assert [one["choices"][0]["delta"].get("content") for one in chunks] == ["", "x"]
    assert error["error"]["code"] == code
    assert [*error["error"]] == ["message", "type", "param", "code"]
    assert b"[DONE]" not in raw
    assert plain.json()["error"]["code"] == code
    assert (parts.chat.open, parts.chat.closed) == (0, 2)


@pytest.mark.anyio
async def test_the_status_waits_for_the_first_event(parts: Parts) -> None:
    """The engine decides "busy" late: nothing may be on the wire by then."""
    entered, decide = asyncio.Event(), asyncio.Event()

    async def late(self: Any, body: Any) -> AsyncIterator[Any]:
        entered.set()
        await decide.wait()
        raise Busy("Full.", retry_after=3)
        yield

    parts.chat = type("Late", (ScriptedChat,), {"create_stream": late})()
    async with parts.build() as jan, client(jan) as http:
        asked = asyncio.create_task(http.post(URL, json=chat_body("a", stream=True)))
        await entered.wait()
        assert not asked.done()
        decide.set()
        reply = await asked
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "3")


@pytest.mark.anyio
async def test_events_are_sent_as_they_come(parts: Parts) -> None:
    async with parts.build() as jan, client(jan) as http:
        body = chat_body({"say": ["x"], "hang": True}, stream=True)
        async with http.stream("POST", URL, json=body) as reply:
            pieces = reply.aiter_raw()
            first, second = await anext(pieces), await anext(pieces)
            assert datas(first)[0]["choices"][0]["delta"]["role"] == "assistant"
            assert datas(second)[0]["choices"][0]["delta"]["content"] == "x"
            assert parts.chat.open == 1
        assert parts.chat.open == 0  # leaving the block closed it


class Counting:
    """An iterator that no garbage collector closes: who does not call `aclose` leaks it."""

    def __init__(self, items: list[Any]) -> None:
        self.items = iter(items)
        self.closed = 0

    def __aiter__(self) -> Counting:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self.items)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.anyio
async def test_the_kernel_closes_the_stream_at_its_end_at_a_defect_and_when_the_client_leaves(parts: Parts) -> None:
    body = parts.chat.create_stream(ChatCompletionRequest.model_validate(chat_body("a b")))
    chunks: list[Any] = [chunk async for chunk in body]
    streams = {
        "end": chunks,
        "defect": [chunks[0], "no chunk"],
        "at once": ["no chunk"],
        "empty": [],
        "left": chunks * 99,
    }
    for name, items in streams.items():
        events = Counting(items)
        parts.chat = type("Given", (ScriptedChat,), {"create_stream": lambda self, body, given=events: given})()
        streamed = {"json": chat_body("a", stream=True)}
        async with parts.build() as jan, client(jan) as http, http.stream("POST", URL, **streamed) as reply:
            assert reply.status_code == (500 if name == "at once" else 200)
            if name != "left":
                await reply.aread()
            assert events.closed == (0 if name == "left" else 1), name
        assert events.closed == 1, name


@pytest.mark.anyio
async def test_an_empty_stream_is_a_good_one(parts: Parts) -> None:
    async def nothing(self: Any, body: Any) -> AsyncIterator[Any]:
        return
        yield

    parts.chat = type("Empty", (ScriptedChat,), {"create_stream": nothing})()
    async with parts.build() as jan, client(jan) as http:
        reply, raw = await stream(http, "a")
    assert (reply.status_code, raw) == (200, b"data: [DONE]\n\n")


@pytest.mark.anyio
async def test_an_operation_left_alone_is_400_not_supported(parts: Parts) -> None:
    async with parts.build() as jan, client(jan) as http:
        for path in (URL, f"{URL}/c", f"{URL}/c/messages"):
            reply = await http.get(path)
            assert (reply.status_code, reply.json()["error"]["code"]) == (400, "not_supported"), path
        gone = await http.delete("notes/note_0")
        assert (gone.status_code, gone.json()["error"]["code"]) == (400, "not_supported")


@pytest.mark.anyio
async def test_a_reply_of_a_wrong_type_is_a_logged_500(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wrong(proceed: Any, *arguments: Any) -> Any:
        return {"not": "a reply"}

    async with parts.build(plugins=plugins(monkeypatch, "wrap_notes", odd={"*": wrong})) as jan, client(jan) as http:
        plain = await http.get("notes")
        streamed = await http.post("notes", json={"text": "a", "stream": True})
    for reply in (plain, streamed):
        assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")


@pytest.mark.anyio
async def test_a_strangers_endpoint_pages_and_parameters(parts: Parts) -> None:
    async with parts.build() as jan, client(jan) as http:
        for number in range(5):
            made = await http.post("notes", json={"text": f"t{number}"})
            assert made.json() == {"id": f"note_{number}", "text": f"t{number}"}
        first = (await http.get("notes", params={"limit": 2})).json()
        assert ([one["id"] for one in first["data"]], first["has_more"]) == (["note_4", "note_3"], True)
        second = (await http.get("notes", params={"limit": 3, "after": first["last_id"]})).json()
        assert ([one["id"] for one in second["data"]], second["has_more"]) == (["note_2", "note_1", "note_0"], False)
        assert (await http.get("notes/note_3")).json()["text"] == "t3"
        missing = await http.get("notes/none")
        assert (missing.status_code, missing.json()["error"]["param"]) == (404, "note_id")
        for query, param in ({"limit": "0"}, "limit"), ({"order": "up"}, "order"), ({"lmit": "1"}, "lmit"):
            bad = await http.get("notes", params=query)
            assert (bad.status_code, bad.json()["error"]["param"]) == (400, param)
        bad = await http.post("notes", json={"text": ""})
        assert (bad.status_code, bad.json()["error"]["param"]) == (400, "text")
        assert (await http.post("notes/erase", json={})).status_code == 405  # an internal operation has no route


@pytest.mark.anyio
async def test_a_strangers_stream_of_named_events(parts: Parts) -> None:
    async with parts.build() as jan, client(jan) as http:
        reply = await http.post("notes", json={"text": "a", "stream": True})
        assert reply.content == (
            b'event: note.begun\ndata: {"id":"","text":""}\n\n'
            b'event: note.made\ndata: {"id":"note_0","text":"a"}\n\n'
            b"event: done\ndata: [DONE]\n\n"
        )
        failed = await http.post("notes", json={"text": "fail", "stream": True})
    begun, error, end = failed.content.split(b"\n\n")
    assert begun.startswith(b"event: note.begun\n")
    assert error.startswith(b"event: error\ndata: ")
    assert json.loads(error.split(b"data: ")[1])["code"] == "engine_error"
    assert end == b""
    assert parts.notes.open == 0


@pytest.mark.anyio
async def test_wrappers_go_around_what_http_asks_for(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def around(name: str) -> Any:
        async def wrapper(proceed: Any, *arguments: Any) -> Any:
            seen.append(f"{name} {proceed.operation.name}")
            if arguments and getattr(arguments[0], "text", "") == "taken":
                raise Conflict("That is taken.", param="text")
            return await proceed(*arguments)

        return {"*": wrapper}

    named = plugins(monkeypatch, "wrap_notes", a=around("a"), b=around("b"))
    async with parts.build(plugins=named) as jan, client(jan) as http:
        await http.get("notes", params={"limit": 1})
        await http.get("notes/x")
        await http.post("notes", json={"text": "a"})
        await http.post("notes", json={"text": "a", "stream": True})
        assert seen == [f"{name} {one}" for one in ("list", "retrieve", "create", "create_stream") for name in "ab"]
        for asked in (False, True):
            taken = await http.post("notes", json={"text": "taken", "stream": asked})
            assert (taken.status_code, taken.json()["error"]["param"]) == (409, "text")


@pytest.mark.anyio
async def test_a_stop_ends_what_is_under_way(parts: Parts) -> None:
    async with parts.build() as jan, client(jan) as http:
        hang = {"say": ["x"], "hang": True}
        async with http.stream("POST", URL, json=chat_body(hang, stream=True)) as reply:
            pieces = reply.aiter_raw()
            assert datas(await anext(pieces))
            assert datas(await anext(pieces))
            plain = asyncio.create_task(http.post(URL, json=chat_body(hang)))
            await until(lambda: parts.chat.open == len(jan.under_way) == 2)
            jan.under_way.stop()
            async with asyncio.timeout(60):
                rest = b"".join([piece async for piece in pieces])
                stopped = await plain
        assert [one["error"]["code"] for one in datas(rest)] == ["stopping"]
        later = await http.get("models")
        for ended in (stopped, later):
            assert (ended.status_code, ended.json()["error"]["code"]) == (503, "stopping")
            assert ended.headers["retry-after"] == "1"
        assert (parts.chat.open, len(jan.under_way)) == (0, 0)


@pytest.mark.anyio
async def test_ids_with_slashes_and_colons_reach_the_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = ModelsInMemory({"acme/llama:q4": "scripted", "a b?#%": "scripted"})
    modules = {"models-m": part(monkeypatch, "models-m", provide_models=lambda: models)}
    async with wired(tmp_path, modules=modules) as jan, client(jan) as http:
        assert (await http.get("models/acme/llama:q4")).json()["id"] == "acme/llama:q4"
        assert (await http.get("models/acme%2Fllama%3Aq4")).json()["id"] == "acme/llama:q4"
        assert (await http.get("models/a%20b%3F%23%25")).json()["id"] == "a b?#%"
        gone = await http.delete("models/acme/llama:q4")
        assert gone.json() == {"id": "acme/llama:q4", "object": "model", "deleted": True}
        missing = await http.get("models/acme/llama:q4")
        spec().validate("GET", "/v1/models/x", 404, missing.json())
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.anyio
async def test_a_path_of_the_api_is_no_id(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan, client(jan) as http:
        for ask in (http.post("threads/runs", json={"assistant_id": "jan"}), http.get("threads/runs")):
            reply = await ask
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
            assert f"There is no {reply.request.method} /v1/threads/runs" in reply.json()["error"]["message"]
        made = (await http.post("threads", json={})).json()["id"]
        assert (await http.post(f"threads/{made}", json={"title": "x"})).status_code == 200


def test_routes_are_ordered_and_every_public_operation_is_on_one(parts: Parts) -> None:
    jan: Jan = parts.build()
    found = kernel.routes(jan.endpoints, UnderWay())
    assert [route.path for route in found if isinstance(route, Route)] == [
        "/v1/chat/completions",
        "/v1/models",
        "/v1/notes",
        "/v1/chat/completions/{completion_id}",
        "/v1/chat/completions/{completion_id}/messages",
        "/v1/notes/{note_id}",
        "/v1/models/{model:path}",
    ]


def test_two_endpoints_on_one_path_refuse_the_start() -> None:
    class Others(Models):
        name = "others"
        schemas = Models.schemas

    operations = Others.operations()
    assert operations
    other: Any = type("Other", (ModelsInMemory,), {"declared": classmethod(lambda cls: Others), "name": "others"})()
    with pytest.raises(Refusal, match=r"both claim the path /v1/models") as caught:
        kernel.routes({"models": ModelsInMemory(), "others": other, "chat": ScriptedChat()}, UnderWay())
    assert caught.value.asked == "the endpoints models and others"
    assert isinstance(ScriptedChat(), Chat)


@pytest.mark.anyio
async def test_what_a_plugin_does_to_a_query_is_not_there_when_it_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    async def spoil(proceed: Any, query: ThreadsQuery) -> Any:
        seen.append(query.model_dump())
        query.limit = 1
        assert query.metadata is not None
        query.metadata["a"] = "spoilt"
        return await proceed(query)

    named = plugins(monkeypatch, "wrap_threads", spoil={"list": spoil})
    async with wired(tmp_path, modules=CONVERSATIONS, plugins=named) as jan, client(jan) as http:
        for _ in range(3):
            await http.get("threads?limit=7&metadata[a]=b")
    assert [(one["limit"], one["metadata"]) for one in seen] == [(7, {"a": "b"})] * 3
