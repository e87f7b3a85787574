from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jan_core import call
from jan_core.call import Call
from jan_core.errors import Busy, ContextLengthExceeded, EngineError
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.testing.scripted import ScriptedChat
from tests.parts import chat_body
from tests.pinned import spec


def body(script: Any, **fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate(chat_body(script, **fields))


async def chunks(chat: ScriptedChat, script: Any, **fields: Any) -> list[dict[str, Any]]:
    found = [chunk.model_dump(mode="json") async for chunk in chat.create_stream(body(script, **fields))]
    for chunk in found:
        spec().validate_chunk("/v1/chat/completions", chunk)
    return found


@pytest.mark.anyio
async def test_it_keeps_the_promises_of_the_class() -> None:
    chat = ScriptedChat()
    found = await chunks(
        chat, {"say": ["Hel", "lo"], "finish": "length"}, n=2, stream=True, stream_options={"include_usage": True}
    )
    assert len({chunk["id"] for chunk in found}) == 1
    *rest, usage = found
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 4)
    for index in (0, 1):
        own = [choice for chunk in rest for choice in chunk["choices"] if choice["index"] == index]
        assert own[0]["delta"]["role"] == "assistant"
        assert [choice["delta"].get("content") for choice in own[1:-1]] == ["Hel", "lo"]
        assert [choice["finish_reason"] for choice in own] == [None, None, None, "length"]
        assert own[-1]["delta"] == {}
    assert (chat.open, chat.said, chat.closed) == (0, 2, 1)
    assert all("usage" not in chunk for chunk in await chunks(chat, "a"))


@pytest.mark.anyio
async def test_plain_text_is_said_back_word_by_word() -> None:
    reply = await ScriptedChat().create(body("to be [1]"))
    assert reply.choices[0].message.content == "to be [1] "
    assert (await ScriptedChat().create(body("5"))).choices[0].message.content == "5 "


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("queue_full", Busy),
        ("context_length_exceeded", ContextLengthExceeded),
        ("engine_error", EngineError),
        ("boom", RuntimeError),
    ],
)
async def test_it_fails_when_told(code: str, kind: type[Exception]) -> None:
    chat = ScriptedChat()
    for after, came in ((0, 0), (1, 2)):
        events = chat.create_stream(body({"say": ["a", "b"], "fail": code, "fail_after": after}))
        told = []
        with pytest.raises(kind):  # noqa: PT012 - what came before the error counts too
            async for chunk in events:
                told.append(chunk)
        assert len(told) == came
    assert (chat.open, chat.closed) == (0, 2)


@pytest.mark.anyio
async def test_closing_it_counts_and_it_tells_the_call_its_tokens() -> None:
    chat = ScriptedChat()
    events: Any = chat.create_stream(body({"say": ["a"], "hang": True}))
    await anext(events)
    assert chat.open == 1
    await events.aclose()
    assert (chat.open, chat.closed) == (0, 1)
    context = Call("req_1")
    call.enter(context)
    await chunks(chat, {"say": ["a", "b", "c"], "prompt_tokens": 11})
    assert (context.prompt_tokens, context.completion_tokens) == (11, 3)


@pytest.mark.anyio
async def test_a_rate_is_kept() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await chunks(ScriptedChat(), {"say": ["x"] * 11, "rate": 100})
    assert loop.time() - began >= 0.099


@pytest.mark.anyio
async def test_a_script_that_is_none_is_refused_as_the_clients_fault() -> None:
    from jan_core.errors import InvalidRequest

    with pytest.raises(InvalidRequest, match="script"):
        await ScriptedChat().create(body('{"sya": ["a"]}'))


def with_tools(script: Any, **more: Any) -> ChatCompletionRequest:
    tools = [{"type": "function", "function": {"name": name}} for name in ("add", "more")]
    given = body(script).model_dump(mode="json", exclude_unset=True)
    return ChatCompletionRequest.model_validate({**given, "tools": tools, **more})


async def called(script: Any, **more: Any) -> list[tuple[str, str]]:
    choice = (await ScriptedChat().create(with_tools(script, **more))).choices[0]
    calls = choice.message.tool_calls or []
    assert (choice.finish_reason == "tool_calls") == bool(calls)
    return [(one.function.name, one.function.arguments) for one in calls if one.type == "function"]


@pytest.mark.anyio
async def test_it_calls_what_the_script_calls() -> None:
    script = {"say": ["a"], "call": [{"name": "add", "arguments": {"n": 1}}, {"name": "more", "arguments": "{"}]}
    both = [("add", '{"n": 1}'), ("more", "{")]
    assert await called(script) == both
    assert await called(script, parallel_tool_calls=False) == both[:1]
    assert await called(script, tool_choice="none") == []
    assert await called({"say": ["a", "b"], "call": script["call"]}, max_tokens=1) == []
    reply = await ScriptedChat().create(with_tools(script))
    assert reply.choices[0].message.content == "a"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 5


@pytest.mark.anyio
async def test_it_calls_what_the_request_demands() -> None:
    assert await called("hello") == []
    assert await called("hello", tool_choice="required") == [("add", "{}")]
    named = {"type": "function", "function": {"name": "more"}}
    assert await called("hello", tool_choice=named) == [("more", "{}")]
    assert await called({"call": [{"name": "add"}]}, tool_choice=named) == [("add", "{}")]


@pytest.mark.anyio
async def test_it_calls_functions_of_the_request_only() -> None:
    from jan_core.errors import InvalidRequest, NotSupported

    with pytest.raises(InvalidRequest, match="no function 'other'"):
        await called({"call": [{"name": "other"}]})
    for more in (
        {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
    ):
        with pytest.raises(NotSupported):
            await called("hello", **more)
