from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jan_core import routing
from jan_core.app import Jan
from jan_core.errors import InvalidRequest, ModelNotFound, NotSupported, Unavailable
from jan_core.inprocess import client
from jan_core.refusal import Refusal
from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
from jan_core.schemas.chat.stored import ChatCompletionDeleted
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import wired
from tests.parts import chat_body, part, plugins

ENGINES: dict[str, str | None] = {"m-red": "red", "m-blue": "blue", "m-green": "green", "m-any": None}


class Red(ScriptedChat):
    engine = "red"
    refusal: str = ""

    async def ready(self) -> None:
        if self.refusal:
            raise Unavailable(self.refusal)

    async def __aenter__(self) -> Red:
        self.entered = True
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.entered = False


class Blue(Red):
    engine = "blue"

    async def delete(self, completion_id: str) -> ChatCompletionDeleted:
        return ChatCompletionDeleted(id=completion_id, deleted=True)

    async def count_tokens(self, body: ChatCompletionRequest) -> int:
        return 42


class Both:
    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.red, self.blue = Red(), Blue()
        modules = {
            "models-m": part(monkeypatch, "models-m", provide_models=lambda: ModelsInMemory(dict(ENGINES))),
            "chat-red": part(monkeypatch, "chat-red", provide_chat=lambda: self.red),
            "chat-blue": part(monkeypatch, "chat-blue", provide_chat=lambda: self.blue),
        }
        self.jan: Jan = wired(tmp_path, modules=modules)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    return Both(tmp_path, monkeypatch)


def body(model: str, **fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate(chat_body("a b", model, **fields))


@pytest.mark.anyio
async def test_the_models_engine_decides_for_replies_streams_and_internal_operations(both: Both) -> None:
    async with both.jan as jan:
        assert (await jan.chat.create(body("m-red"))).model == "m-red"
        assert (both.red.closed, both.blue.closed) == (1, 0)
        chunks = [chunk async for chunk in jan.chat.create_stream(body=body("m-blue"))]
        assert {chunk.model for chunk in chunks} == {"m-blue"}
        assert (both.red.closed, both.blue.closed) == (1, 1)
        assert await jan.chat.count_tokens(body("m-blue")) == 42
        with pytest.raises(NotSupported):
            await jan.chat.count_tokens(body("m-red"))


@pytest.mark.anyio
async def test_a_model_of_another_engine_is_refused_telling_who_could_serve(both: Both) -> None:
    async with both.jan as jan:
        for call in (jan.chat.create(body("m-green")), anext(jan.chat.create_stream(body("m-green")))):
            with pytest.raises(
                InvalidRequest,
                match=r"needs the engine 'green'; chat is served here by red \(chat-red\), blue \(chat-blue\). Install "
                r'.*pip install jan-chat-green\), and write chat = \["chat-red", "chat-blue", "chat-green"\] under',
            ) as caught:
                await call
            assert (caught.value.param, caught.value.code) == ("model", "engine_not_available")
        with pytest.raises(ModelNotFound):
            await jan.chat.create(body("m-none"))
        told = routing._unavailable(jan, "chat", {"chat-red": both.red}, "m", "x --index-url y").message
        assert "pip" not in told
        assert "That is no engine's name" in told


@pytest.mark.anyio
async def test_a_model_whose_engine_nobody_names_goes_to_the_first(both: Both) -> None:
    async with both.jan as jan:
        await jan.chat.create(body("m-any"))
        assert (both.red.closed, both.blue.closed) == (1, 0)
        await jan.chat.create(body("m-any@blue"))
        assert (both.red.closed, both.blue.closed) == (1, 1)


@pytest.mark.anyio
async def test_one_module_alone_is_routed_to_in_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    red = Red()
    modules = {
        "models-m": part(monkeypatch, "models-m", provide_models=lambda: ModelsInMemory(dict(ENGINES))),
        "chat-red": part(monkeypatch, "chat-red", provide_chat=lambda: red),
        "chat-blue": part(monkeypatch, "chat-blue", provide_chat=lambda: Blue()),
    }
    async with wired(tmp_path, {"endpoints": {"chat": "chat-red"}}, modules=modules) as jan:
        for model in ("m-red", "m-any", "m-red@red"):
            assert (await jan.chat.create(body(model))).model == model
        with pytest.raises(InvalidRequest, match=r'chat-blue is installed: write chat = \["chat-red", "chat-blue"\]'):
            await jan.chat.create(body("m-blue"))
        with pytest.raises(InvalidRequest, match=r"Ask for 'm-red', or for one of these engines\."):
            await jan.chat.create(body("m-red@yellow"))
        red.refusal = "Red is dry."
        with pytest.raises(Unavailable, match=r"^Red is dry\.$"):
            await jan.chat.ready()
        assert red.entered


@pytest.mark.anyio
async def test_one_that_names_no_engine_answers_for_every_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Everything(ScriptedChat):
        engine = None

    modules = {
        "models-m": part(monkeypatch, "models-m", provide_models=lambda: ModelsInMemory(dict(ENGINES))),
        "chat-all": part(monkeypatch, "chat-all", provide_chat=lambda: Everything()),
    }
    async with wired(tmp_path, modules=modules) as jan:
        assert (await jan.chat.create(body("m-green"))).model == "m-green"


@pytest.mark.anyio
async def test_a_stream_that_was_closed_or_failed_before_its_first_event_has_no_more(both: Both) -> None:
    async with both.jan as jan:
        closed = jan.chat.create_stream(body("m-red"))
        await closed.aclose()
        failed = jan.chat.create_stream(body("m-none"))
        with pytest.raises(ModelNotFound):
            await anext(failed)
        for events in (closed, failed):
            with pytest.raises(StopAsyncIteration):
                await anext(events)
        assert both.red.open == both.red.closed == 0


@pytest.mark.anyio
async def test_what_names_no_model_goes_to_the_first_that_supports_it(both: Both) -> None:
    async with both.jan as jan:
        assert (await jan.chat.delete("c")).id == "c"
        assert jan.chat.supports("delete")
        assert not jan.chat.supports("retrieve")
        with pytest.raises(NotSupported):
            await jan.chat.retrieve("c")
    # A body without a model, over HTTP: refused as not supported, not a defect.
    async with both.jan as jan, client(jan) as http:
        reply = await http.post("chat/completions/c", json={"metadata": {}})
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "not_supported")


@pytest.mark.anyio
async def test_closing_the_routed_stream_closes_the_implementations(both: Both) -> None:
    async with both.jan as jan:
        events = jan.chat.create_stream(body("m-red"))
        await anext(events)
        assert both.red.open == 1
        await events.aclose()
        assert both.red.open == 0


@pytest.mark.anyio
async def test_all_of_them_are_entered_and_left_and_one_that_is_ready_suffices(both: Both) -> None:
    async with both.jan as jan:
        assert both.red.entered
        assert both.blue.entered
        both.red.refusal = "Red is dry."
        await jan.chat.ready()
        both.blue.refusal = "Blue is dry."
        with pytest.raises(Unavailable, match=r"Red is dry\. Blue is dry\."):
            await jan.chat.ready()
    assert not both.red.entered
    assert not both.blue.entered


def test_two_for_one_engine_and_one_without_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class None_(ScriptedChat):
        engine = None

    def start(second: Any) -> str:
        modules = {
            "chat-red": part(monkeypatch, "chat-red", provide_chat=lambda: Red()),
            "chat-second": part(monkeypatch, "chat-second", provide_chat=lambda: second()),
        }
        with pytest.raises(Refusal) as caught:
            wired(tmp_path, modules=modules)
        assert "chat-second" in str(caught.value)
        return caught.value.cause

    assert start(Red) == "two modules answer for the engine 'red'"
    assert start(None_) == "chat-second names no engine, so no model could choose it"


@pytest.mark.anyio
async def test_unknown_fields_reach_who_takes_them_and_are_refused_elsewhere(both: Both) -> None:
    async with both.jan as jan, client(jan) as http:
        path = "chat/completions"
        for model in ("m-red", "m-blue"):
            reply = await http.post(path, json=chat_body("a", model, zzz=1))
            assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unknown_field")


@pytest.mark.anyio
async def test_one_of_two_takes_unknown_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []

    class Taking(Blue):
        takes_unknown_fields = True

        def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
            found.append(body.model_extra)
            return super().create_stream(body)

    async def through(proceed: Any, *given: Any) -> Any:
        return await proceed(*given)

    modules = {
        "models-m": part(monkeypatch, "models-m", provide_models=lambda: ModelsInMemory(dict(ENGINES))),
        "chat-red": part(monkeypatch, "chat-red", provide_chat=lambda: Red()),
        "chat-blue": part(monkeypatch, "chat-blue", provide_chat=lambda: Taking()),
    }
    around = plugins(monkeypatch, "wrap_chat", around={"create": through})
    for layers in ({}, around):
        found.clear()
        async with wired(tmp_path, modules=modules, plugins=layers) as jan, client(jan) as http:
            for stream in (False, True):
                path = "chat/completions"
                reply = await http.post(path, json=chat_body("a", "m-blue", zzz={"a": None}, stream=stream))
                assert reply.status_code == 200, reply.text
                reply = await http.post(path, json=chat_body("a", "m-red", zzz=1, modle="m", stream=stream))
                assert reply.status_code == 400
                told = reply.json()["error"]
                assert (told["param"], told["code"]) == ("modle", "unknown_field")
        assert found == [{"zzz": {"a": None}}] * 2
