"""What becomes of what an own `run` yields, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from jan_code.pipe import Pipe
from jan_code.running import CannotSay, Context, Telling, run, shorter

pytestmark = pytest.mark.anyio

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "tools": [{}]}
GIVEN: dict[str, Any] = {"thread": {}, "assistant": {}, "run": {}, "messages": [], "request": REQUEST, "tools": []}


class Dumped:
    """As an object of the official client."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self) -> dict[str, Any]:
        return self.fields


def taken(*given: Any, longest: int = 1000) -> list[Any]:
    sent: list[dict[str, Any]] = []
    telling = Telling(sent.append, longest)
    for one in given:
        telling.take(one)
    return [one["say"]["text"] if "say" in one else one["step"] for one in sent]


def event(name: str, **data: Any) -> Dumped:
    return Dumped(event=name, data=data)


class TestTaking:
    def test_texts_and_nothing(self) -> None:
        assert taken("a", None, "", "b") == ["a", "b"]

    def test_chunks_and_answers_of_a_chat(self) -> None:
        chunk = Dumped(
            object="chat.completion.chunk", choices=[{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]
        )
        called = Dumped(object="chat.completion.chunk", choices=[{"delta": {"content": None, "tool_calls": [{}]}}])
        usage = {"object": "chat.completion.chunk", "choices": []}
        whole = Dumped(object="chat.completion", choices=[{"message": {"content": "whole"}}])
        assert taken(chunk, called, usage, whole) == ["a", "whole"]

    def test_events_of_a_run(self) -> None:
        delta = {"content": [{"type": "text", "text": {"value": "a"}}, {"type": "refusal", "refusal": "x"}]}
        function = {"name": "f", "arguments": "{}", "output": "1"}
        details = {"tool_calls": [{"type": "function", "function": function}]}
        told = taken(
            event("thread.run.created", id="run_1"),
            event("thread.message.delta", delta=delta),
            event("thread.run.step.completed", type="tool_calls", step_details=details),
            event("thread.run.step.completed", type="message_creation"),
            event("thread.run.completed", id="run_1"),
            event("done"),
        )
        assert told == ["a", {"name": "f", "arguments": "{}", "output": "1"}]
        failed = event("thread.run.failed", id="run_1", status="failed", last_error={"message": "no"})
        with pytest.raises(CannotSay, match="the run run_1, whose events it passed on, is failed: no"):
            taken(failed)

    @pytest.mark.parametrize("given", [1, b"x", [], {}, {"object": "list"}, Dumped(event="error"), SimpleNamespace()])
    def test_anything_else_is_told_with_its_type(self, given: Any) -> None:
        with pytest.raises(CannotSay, match=f"of the type {type(given).__name__}; it may yield texts"):
            taken(given)

    def test_what_cannot_even_be_shown(self) -> None:
        class Unshown:
            def __repr__(self) -> str:
                raise RuntimeError

        with pytest.raises(CannotSay, match="run yielded something, of the type Unshown"):
            taken(Unshown())

    def test_too_much_in_all(self) -> None:
        assert taken("é" * 50, longest=100)
        with pytest.raises(CannotSay, match="it gave more than 100 bytes"):
            taken("é" * 50, "x", longest=100)

    def test_steps(self) -> None:
        sent: list[Any] = []
        telling = Telling(sent.append, 100)
        telling.step("f", None, {"a": {1}})
        telling.step("f", "{}", None)
        assert [one["step"] for one in sent] == [
            {"name": "f", "arguments": "{}", "output": '{"a": [1]}'},
            {"name": "f", "arguments": "{}", "output": "null"},
        ]
        with pytest.raises(CannotSay, match="100 bytes"):
            telling.step("f", "x" * 50, "y" * 50)
        for name in ("", "a b", "x" * 65, 5):
            with pytest.raises(CannotSay, match="a step is called"):
                telling.step(name, {}, "")  # type: ignore[arg-type]


async def test_where_it_yielded_what_it_must_not() -> None:
    async def bad(context: Context) -> AsyncIterator[Any]:
        yield "a"
        yield 5

    sent: list[Any] = []
    telling = Telling(sent.append, 100)
    line = bad.__code__.co_firstlineno + 2
    with pytest.raises(CannotSay, match=rf"\(line {line}\)$"):
        await run(bad, Context(GIVEN, Pipe(sent.append, 8, 100), telling), telling)
    assert sent == [{"say": {"text": "a"}}]


async def test_what_openai_does_not_have_is_apart_for_its_client() -> None:
    server = Server((200, SAID))
    given = {**GIVEN, "request": {**REQUEST, "top_k": 5, "seed": 1}}
    context = Context(given, server.pipe, Telling(server.take, 100))
    assert (context.request["extra_body"], context.request["seed"]) == ({"top_k": 5}, 1)
    assert [one async for one in context.ask()] == ["some"]
    (asked,) = server.asked
    assert (asked["top_k"], "extra_body" in asked) == (5, False)


class Server:
    """Answers what a context asks with what the test gives, one after another."""

    def __init__(self, *replies: tuple[int, str]) -> None:
        self.replies, self.asked = list(replies), []  # type: ignore[var-annotated]
        self.pipe = Pipe(self.take, 8, 10_000)
        self.context = Context(GIVEN, self.pipe, Telling(self.take, 100))

    def take(self, message: dict[str, Any]) -> None:
        import json

        if "request" in message:
            told = message["request"]
            self.asked.append(json.loads(told["body"]))
            status, body = self.replies.pop(0)
            for kind, more in (
                ("reply", {"status": status, "headers": []}),
                ("piece", {"bytes": body[:30]}),
                ("piece", {"bytes": body[30:]}),
                ("end", {}),
            ):
                self.pipe.take({kind: {"number": told["number"], **more}})


SAID = 'data: {"choices": [{"delta": {"content": "some"}}]}\n\ndata: {"choices": []}\n\ndata: [DONE]\n\n'
TOO_LONG = '{"error": {"message": "too long", "code": "context_length_exceeded"}}'


class TestAsking:
    async def test_tools_are_left_out_and_fields_changed(self) -> None:
        server = Server((200, SAID))
        assert [one async for one in server.context.ask("Be short.", seed=5)] == ["some"]
        (asked,) = server.asked
        assert "tools" not in asked
        assert (asked["seed"], asked["messages"][0]) == (5, {"role": "system", "content": "Be short."})
        assert REQUEST["messages"] == [{"role": "user", "content": "hi"}]

    async def test_instructions_stand_behind_those_that_are_there(self) -> None:
        server = Server((200, SAID))
        said = [{"role": "system", "content": "You are a cat."}, {"role": "user", "content": "hi"}]
        async for _ in server.context.ask("Be short.", messages=said):
            pass
        assert server.asked[0]["messages"][0]["content"] == "You are a cat.\n\nBe short."

    async def test_what_does_not_fit_is_shortened(self) -> None:
        server = Server((400, TOO_LONG), (400, TOO_LONG), (200, SAID))
        said = [{"role": ("user", "assistant")[n % 2], "content": str(n)} for n in range(9)]
        server.context.request["messages"] = said
        assert [one async for one in server.context.ask("Short.")] == ["some"]
        assert [[one["content"] for one in asked["messages"]] for asked in server.asked] == [
            ["Short.", *"012345678"],
            ["Short.", *"5678"],
            ["Short.", *"78"],
        ]

    async def test_a_refusal_is_told(self) -> None:
        from jan_code.running import Refused

        server = Server((400, TOO_LONG), (200, 'data: {"error": {"message": "broke"}}\n\n'))
        for why in ("too long", "broke"):
            with pytest.raises(Refused, match=why):
                await anext(server.context.ask())

    def test_shortening_ends(self) -> None:
        def of(*roles: str) -> list[dict[str, Any]]:
            return [{"role": one, "content": ""} for one in roles]

        assert shorter(of("user")) == of("user")
        assert shorter(of("system", "user", "assistant")) == of("system", "user", "assistant")
        assert shorter(of("assistant", "assistant")) == of("assistant")
        assert shorter(of("user", "assistant", "user")) == of("user")
        assert shorter([]) == []


async def test_one_that_is_closed_ends_its_request() -> None:
    sent: list[Any] = []
    pipe = Pipe(sent.append, 8, 1000)
    context = Context(GIVEN, pipe, Telling(sent.append, 100))
    pieces = context.ask()
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    number = sent[0]["request"]["number"]
    pipe.take({"reply": {"number": number, "status": 200, "headers": []}})
    pipe.take({"piece": {"number": number, "bytes": SAID[:54]}})
    assert await waiting == "some"
    await pieces.aclose()  # type: ignore[attr-defined]
    assert sent[1:] == [{"leave": {"number": number}}]
