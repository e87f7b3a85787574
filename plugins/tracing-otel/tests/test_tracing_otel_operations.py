from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from jan_core import call
from jan_core.inprocess import client
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.testing.scripted import ScriptedChat
from tests.notes import Notes, NotesInMemory
from tests.parts import NOTES, chat_body, part, until


@pytest.mark.anyio
async def test_a_chat_is_a_request_with_an_operation_below_it(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        official = openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="x", http_client=http)
        said = json.dumps({"say": ["Hel", "lo"], "prompt_tokens": 7})
        reply = await official.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": said}], temperature=0.5, max_tokens=9, seed=3, n=2
        )
    request, chat = collector.named("POST /v1/chat/completions"), collector.named("chat scripted")
    assert (chat.trace, chat.parent, request.parent) == (request.trace, request.id, "")
    assert chat.told == {
        "jan.endpoint": "chat",
        "jan.operation": "create",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "jan",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 3,
        "gen_ai.request.choice.count": 2,
        "gen_ai.response.id": reply.id,
        "gen_ai.response.model": "scripted",
        "gen_ai.response.finish_reasons": ["stop", "stop"],
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 4,
        "server.address": "localhost",
        "server.port": 80,
    }
    assert not chat.failed
    assert request.raw.start_time_unix_nano <= chat.raw.start_time_unix_nano
    assert chat.raw.start_time_unix_nano < chat.raw.end_time_unix_nano <= request.raw.end_time_unix_nano
    assert len(collector.spans) == 2


@pytest.mark.anyio
async def test_the_span_of_a_stream_lasts_until_its_end(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        official = openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="x", http_client=http)
        said = json.dumps({"say": ["a"] * 4, "rate": 20, "prompt_tokens": 7})
        events = await official.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": said}], stream=True
        )
        count = len([event async for event in events])
    assert count == 6
    chat, request = collector.named("chat scripted"), collector.named("POST /v1/chat/completions")
    assert chat.told["gen_ai.request.stream"] is True
    assert chat.told["gen_ai.response.finish_reasons"] == ["stop"]
    # It did not ask for the usage; the engine told the call.
    assert (chat.told["gen_ai.usage.input_tokens"], chat.told["gen_ai.usage.output_tokens"]) == (7, 4)
    lasted = (chat.raw.end_time_unix_nano - chat.raw.start_time_unix_nano) / 1e9
    assert lasted >= 0.15
    assert 0 < chat.told["gen_ai.response.time_to_first_chunk"] < lasted - 0.14
    token = (chat.at["gen_ai.first_token"] - chat.raw.start_time_unix_nano) / 1e9
    assert chat.told["gen_ai.response.time_to_first_chunk"] <= token < lasted - 0.14
    assert chat.parent == request.id
    assert request.raw.end_time_unix_nano >= chat.raw.end_time_unix_nano
    assert not chat.failed


@pytest.mark.anyio
async def test_usage_that_a_stream_tells_is_noted(traced: Any, collector: Any) -> None:
    body = chat_body({"say": ["a"], "prompt_tokens": 5}, stream=True, stream_options={"include_usage": True}, n=2)
    async with traced() as jan, client(jan) as http:
        await http.post("/chat/completions", json=body)
    told = collector.named("chat scripted").told
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (5, 2)
    assert told["gen_ai.response.finish_reasons"] == ["stop", "stop"]


@pytest.mark.anyio
async def test_a_client_that_leaves_a_stream_is_noted_and_the_engine_stops(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        body = chat_body({"say": ["a"] * 1000, "rate": 50}, stream=True)
        async with http.stream("POST", "/chat/completions", json=body) as reply:
            await anext(reply.aiter_lines())
    chat, request = collector.named("chat scripted"), collector.named("POST /v1/chat/completions")
    assert (chat.told["error.type"], request.told["error.type"]) == ("client_left", "client_left")
    assert (chat.failed, request.failed) == (False, False)
    assert "gen_ai.response.finish_reasons" not in chat.told
    assert request.told["http.response.status_code"] == 200


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_noted_without_its_words(traced: Any, collector: Any, stream: bool) -> None:
    async with traced() as jan, client(jan) as http:
        reply = await http.post("/chat/completions", json=chat_body("hi", model="private-name", stream=stream))
        assert reply.status_code == 404
    chat, request = collector.named("chat private-name"), collector.named("POST /v1/chat/completions")
    assert (chat.told["error.type"], request.told["error.type"]) == ("model_not_found", "model_not_found")
    assert chat.failed
    assert not request.failed, "a wrong request is no fault of the server"
    assert (chat.message, request.message) == ("", "")
    assert "gen_ai.first_token" not in chat.events


@pytest.mark.anyio
async def test_a_stream_that_breaks_off_is_an_error_of_operation_and_request(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        body = chat_body({"say": ["a", "b"], "fail": "engine_error", "fail_after": 1}, stream=True)
        await http.post("/chat/completions", json=body)
    for name in ("chat scripted", "POST /v1/chat/completions"):
        span = collector.named(name)
        assert (span.told["error.type"], span.failed) == ("engine_error", True)
    assert collector.named("POST /v1/chat/completions").told["http.response.status_code"] == 200


@pytest.mark.anyio
async def test_a_defect_is_noted_with_where_it_happened_and_without_its_words(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(NotesInMemory):
        async def retrieve(self, note_id: str) -> Any:
            raise ValueError(f"secret of {note_id}")

    modules = {"notes-broken": part(monkeypatch, "notes-broken", provide_notes=lambda: Broken())}
    async with traced(modules=modules, **NOTES) as jan, client(jan) as http:
        assert (await http.get("/notes/x")).status_code == 500
    span, request = collector.named("notes.retrieve"), collector.named("GET /v1/notes/{note_id}")
    assert (span.told["error.type"], span.failed) == ("ValueError", True)
    assert span.events["exception"]["exception.type"] == "ValueError"
    assert "in retrieve" in span.events["exception"]["exception.stacktrace"]
    assert (request.told["error.type"], request.failed) == ("internal_error", True)
    assert b"secret of x" not in collector.raw


@pytest.mark.anyio
async def test_every_operation_of_a_strangers_endpoint_is_traced(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"notes-memory": part(monkeypatch, "notes-memory", provide_notes=lambda: NotesInMemory())}
    async with traced(modules=modules, **NOTES) as jan, client(jan) as http:
        await http.post("/notes", json={"text": "a"})
        await http.post("/notes", json={"text": "a", "stream": True})
        await http.get("/notes")
        await http.get("/notes/note_0")
        await http.delete("/notes/note_0")
        await jan.notes.erase("a")
    names = {one.name for one in collector.spans}
    public = {one for one in Notes.operations().values() if one.path is not None}
    assert {one.qualified for one in public} <= names
    assert "notes.erase" not in names, "operations without a route are not traced unless the settings say so"
    assert not [one for one in collector.spans if any(name.startswith("gen_ai") for name in one.told)]


@pytest.mark.anyio
async def test_internal_operations_are_traced_on_demand(traced: Any, collector: Any) -> None:
    async with traced(internal=True) as jan, client(jan) as http:
        await http.post("/chat/completions", json=chat_body("hi"))
    chat = collector.named("chat scripted")
    located = [one for one in collector.spans if one.name == "models.locate"]
    assert {(one.parent, one.trace) for one in located} == {(chat.id, chat.trace)}


@pytest.mark.anyio
async def test_the_conversation_is_named_where_an_operation_belongs_to_one(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        thread = (await http.post("/threads", json={})).json()["id"]
        await http.post(f"/threads/{thread}/messages", json={"role": "user", "content": "secret"})
        await http.post("/assistants", json={"model": "scripted", "instructions": "secret"})
    assert collector.named("messages.create").told["gen_ai.conversation.id"] == thread
    assistant = collector.named("assistants.create").told
    assert assistant["gen_ai.request.model"] == "scripted"
    assert "gen_ai.operation.name" not in assistant, "nothing is inferred there"
    assert b"secret" not in collector.raw


@pytest.mark.anyio
async def test_completions_and_embeddings_have_the_conventions_names(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        await http.post("/completions", json={"model": "scripted", "prompt": "hi there"})
        await http.post("/completions", json={"model": "scripted", "prompt": "hi", "stream": True})
        await http.post("/embeddings", json={"model": "scripted", "input": "hi", "encoding_format": "float"})
    plain, stream = [one for one in collector.spans if one.name == "text_completion scripted"]
    assert plain.told["gen_ai.response.finish_reasons"] == stream.told["gen_ai.response.finish_reasons"] == ["stop"]
    assert "gen_ai.first_token" in stream.events
    embedded = collector.named("embeddings scripted").told
    assert embedded["gen_ai.operation.name"] == "embeddings"
    assert embedded["gen_ai.request.encoding_formats"] == ["float"]
    assert embedded["gen_ai.usage.input_tokens"] > 0


@pytest.mark.anyio
async def test_what_a_reader_does_between_two_events_is_no_part_of_the_stream(traced: Any, collector: Any) -> None:
    async with traced() as jan:
        body = ChatCompletionRequest.model_validate(chat_body({"say": ["a"]}, stream=True))
        async for _ in jan.chat.create_stream(body):
            await jan.models.list()
    chat = collector.named("chat scripted")
    lists = [one for one in collector.spans if one.name == "models.list"]
    assert lists
    assert chat.id not in {one.parent for one in lists}
    assert "error.type" not in chat.told


@pytest.mark.anyio
async def test_a_stream_that_another_layer_drops_has_a_span_all_the_same(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dropping(proceed: Any, body: Any) -> AsyncIterator[Any]:
        await proceed(body)
        return await proceed(body)

    outer = part(monkeypatch, "outer", wrap_chat=lambda settings, jan: {"create_stream": dropping})
    inner = ScriptedChat()
    modules = {"chat-scripted": part(monkeypatch, "chat-scripted", provide_chat=lambda: inner)}
    async with traced({"outer": outer, "tracing-otel": "jan_tracing_otel"}, modules) as jan:
        body = ChatCompletionRequest.model_validate(chat_body({"say": ["a"]}, stream=True))
        assert [event async for event in jan.chat.create_stream(body)]
    assert sorted(one.told.get("error.type", "") for one in collector.spans) == ["", "cancelled"]
    assert (inner.open, inner.closed) == (0, 1)


@pytest.mark.anyio
async def test_a_plain_request_whose_client_leaves_is_noted(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = ScriptedChat()
    modules = {"chat-scripted": part(monkeypatch, "chat-scripted", provide_chat=lambda: inner)}
    async with traced(modules=modules) as jan, client(jan) as http:
        sent = asyncio.create_task(http.post("/chat/completions", json=chat_body({"say": ["a"], "hang": True})))
        await until(lambda: inner.open == 1)
        sent.cancel()
        await asyncio.gather(sent, return_exceptions=True)
    assert collector.named("chat scripted").told["error.type"] == "client_left"
    assert collector.named("POST /v1/chat/completions").told["error.type"] == "client_left"


@pytest.mark.anyio
async def test_a_strange_reply_costs_attributes_and_no_request(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Strange(NotesInMemory):
        async def create(self, body: Any) -> Any:
            return SimpleNamespace(choices=7, usage=SimpleNamespace())

    modules = {"notes-strange": part(monkeypatch, "notes-strange", provide_notes=lambda: Strange())}
    async with traced(modules=modules, **NOTES) as jan:
        for _ in range(2):
            assert (await jan.notes.create(SimpleNamespace(model="x"))).choices == 7
    assert len([one for one in collector.spans if one.name == "notes.create"]) == 2
    assert [one.getMessage() for one in caplog.records if "say little" in one.getMessage()] == [
        "spans of notes.create say little: TypeError: object of type 'int' has no len()"
    ]


@pytest.mark.anyio
async def test_tokens_that_an_engine_tells_when_it_is_closed_are_noted(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Telling(ScriptedChat):
        async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[Any]:
            try:
                async for event in super().create_stream(body):
                    yield event
            finally:
                context = call.current()
                assert context is not None
                context.prompt_tokens, context.completion_tokens = 5, 3

    modules = {"chat-scripted": part(monkeypatch, "chat-scripted", provide_chat=lambda: Telling())}
    async with traced(modules=modules) as jan:
        call.enter(call.Call("req_1"))
        events = jan.chat.create_stream(
            ChatCompletionRequest.model_validate(chat_body({"say": ["a"] * 3}, stream=True))
        )
        await anext(events)
        await events.aclose()
    told = collector.named("chat scripted").told
    assert told["error.type"] == "client_left"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (5, 3)
