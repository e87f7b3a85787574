"""Own runs of assistants, in real processes."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from jan_code.backend import Code
from jan_code.conversation import Begins, Said, Stepped, Used
from jan_code.frames import AT_ONCE
from jan_code.loaded import BrokenCode, RunFailed

from jan_core.hookspecs import hookimpl
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import SCRIPTED, wired

from .conftest import BACKENDS, Assistant
from .test_code_backend import ADD, gone

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the limits are those of POSIX")]
BEGIN = "async def run(context):\n"


def context(*said: str, **more: Any) -> dict[str, Any]:
    """What a run gets; the last text is the script of the engine."""
    messages = [{"role": "user", "content": one} for one in said or ("hello there",)]
    request = {"model": "scripted", "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    return {"thread": {"id": "t"}, "assistant": {"id": "a"}, "run": {}, "messages": [], "request": request, **more}


async def told(assistant: Assistant, given: dict[str, Any] | None = None) -> list[Any]:
    """What a run said and did; pieces that follow each other are joined."""
    found: list[Any] = []
    async with aclosing(assistant.code.run("a", given or context())) as events:
        assert await anext(events) == Begins()
        async for one in events:
            if one == Said(""):
                continue
            if isinstance(one, Said) and found and isinstance(found[-1], Said):
                one = Said(found.pop().text + one.text)
            found.append(one)
    return found


async def text(assistant: Assistant, given: dict[str, Any] | None = None) -> str:
    return "".join(one.text for one in await told(assistant, given) if isinstance(one, Said))


def pid(assistant: Assistant) -> int:
    """Of the process that the newest run had."""
    process = assistant.code._places["a", 0].free[-1].process
    assert process is not None
    assert process._transport is not None
    found: int = process._transport.get_pid()
    return found


class TestSaying:
    async def test_texts_and_steps_come_in_their_order(self, assistant: Assistant) -> None:
        assistant.write(
            ADD
            + BEGIN
            + """
    yield "Hà "
    yield context.step("add", {"a": 1}, add(1))
    yield ""
    yield "Nội\\ud800"
    context.step("look", "as it is", {"x": [1]})
    yield context.thread["id"] + context.assistant["id"] + context.tools[0]["function"]["name"]
"""
        )
        await assistant.settled()
        assert await assistant.code.has_run("a")
        assert await assistant.code.has("a") == (True, await assistant.code.tools("a"))
        assert await assistant.names() == ["add"]
        assert await told(assistant) == [
            Said("Hà "),
            Stepped("add", '{"a": 1}', "2"),
            Said("Nội?"),
            Stepped("look", "as it is", '{"x": [1]}'),
            Said("taadd"),
        ]
        first = pid(assistant)
        await told(assistant)
        assert pid(assistant) == first

    async def test_what_it_is_told_is_packed_in_another_thread(self, assistant: Assistant) -> None:
        threads: list[int] = []

        class Thread(dict[str, str]):
            def items(self) -> Any:
                threads.append(threading.get_ident())
                return super().items()

        assistant.write(BEGIN + "    yield context.thread['id'][-2:]\n")
        assert await told(assistant, context(thread=Thread(id="a" * 1_000_000 + "\ud800é"))) == [Said("?é")]
        assert threads
        assert threading.get_ident() not in threads

    async def test_what_a_plain_run_returns_is_said(self, assistant: Assistant) -> None:
        assistant.write('async def run(context) -> str:\n    return "all of it"\n')
        assert await told(assistant) == [Said("all of it")]
        assistant.write("async def run(context) -> None:\n    pass\n")
        assert await told(assistant) == []

    async def test_there_is_none(self, assistant: Assistant) -> None:
        assert not await assistant.code.has_run("a")
        assistant.write(ADD)
        assert not await assistant.code.has_run("a")
        (assistant.folder / "src" / "index.py").unlink()
        with pytest.raises(BrokenCode, match="has no code"):
            await told(assistant)

    async def test_it_must_be_async(self, assistant: Assistant) -> None:
        assistant.write("\ndef run(context):\n    yield 1\n")
        with pytest.raises(BrokenCode, match="line 2 must be an `async def`"):
            await assistant.code.has_run("a")

    async def test_an_edit_is_in_the_next_run(self, assistant: Assistant) -> None:
        assistant.write(BEGIN + '    yield "one"\n')
        assert await text(assistant) == "one"
        assistant.write(BEGIN + '    yield "three"\n')
        assert await text(assistant) == "three"

    @pytest.mark.parametrize("assistant", [{"idle_seconds": 0.1}], indirect=True)
    async def test_its_process_ends_when_it_is_idle(self, assistant: Assistant) -> None:
        assistant.write(BEGIN + '    yield str(__import__("os").getpgid(0))\n')
        await text(assistant)
        async with asyncio.timeout(20):
            while assistant.code._places["a", 0].free[0].process is not None:
                await asyncio.sleep(0.01)
        assert await text(assistant)


class TestAsking:
    async def test_the_model_is_asked_as_it_would_be_without(self, assistant: Assistant) -> None:
        assistant.write(BEGIN + "    async for one in context.ask():\n        yield one.upper()\n")
        assert await told(assistant) == [Used(2, 2), Said("HELLO THERE ")]

    async def test_more_instructions_and_other_fields(self, assistant: Assistant) -> None:
        assistant.write(
            BEGIN
            + """
    async for one in context.ask("Be short.", max_completion_tokens=2):
        yield one
    async for one in context.ask(messages=[{"role": "user", "content": "another thing"}]):
        yield one
"""
        )
        found = await text(assistant, context("one two three"))
        assert found == "one two another thing "

    async def test_a_refusal_and_an_error_in_the_middle_say_why(self, assistant: Assistant) -> None:
        assistant.write(
            BEGIN
            + """
    for one in ({"model": "nobody"}, {}):
        try:
            async for piece in context.ask(**one):
                yield piece
        except Exception as error:
            yield f"[{error}]"
"""
        )
        script = json.dumps({"say": ["some ", "more"], "fail": "engine_error", "fail_after": 1})
        found = await text(assistant, context(script))
        assert found.startswith("[There is no model 'nobody'; there are: scripted.]some [")

    async def test_a_client_is_asked_for_that_is_not_there(self, assistant: Assistant) -> None:
        assistant.write(BEGIN + "\n    yield 'some'\n    context.client\n")
        with pytest.raises(RunFailed) as error:
            await told(assistant)
        assert "name `openai` in the assistant's pyproject.toml" in error.value.message
        assert error.value.message.endswith(f"({assistant.index}, line 4).")

    async def test_what_a_run_leaves_behind_is_ended(self, tmp_path: Path, walls: bool) -> None:
        assistant, engine = await begun(tmp_path, walls)
        async with engine.jan:
            assistant.write(
                BEGIN
                + """
    import asyncio
    async def listen():
        async for piece in context.ask():
            pass
    kept = asyncio.ensure_future(listen())
    async for piece in context.ask():
        yield piece
        break
    await asyncio.sleep(0.1)
"""
            )
            assert await text(assistant, context('{"say": ["x"], "hang": true}')) == "x"
            assert (engine.open, engine.closed) == (0, 2)
            assert await text(assistant, context('{"say": ["y"], "hang": true}')) == "y"

    async def test_a_few_requests_at_once_and_the_others_wait(self, tmp_path: Path, walls: bool) -> None:
        assistant, engine = await begun(tmp_path, walls)
        async with engine.jan:
            assistant.write(
                BEGIN
                + """
    import asyncio
    async def one():
        return "".join([piece async for piece in context.ask()])
    yield "".join(await asyncio.gather(*(one() for n in range(30))))
"""
            )
            assert await text(assistant, context('{"say": ["a", "b", "c"], "rate": 100}')) == 30 * "abc"
            assert engine.most == AT_ONCE

    async def test_who_is_asked_in_the_name_of(self, assistant: Assistant) -> None:
        from jan_core import call

        assistant.write(BEGIN + "    async for one in context.ask():\n        yield one\n")
        call.enter(call.Call("req", key_name="anna"))
        jan, seen = assistant.code.jan, []
        app = assistant.code._application()

        async def around(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)
            seen.append((call.inside(scope), call.current()))

        jan.application = around
        await told(assistant)
        ((inside, served),) = seen
        assert inside == call.Inside("anna")
        assert (served.key_name, served.completion_tokens) == ("anna", 2)


class Counting(ScriptedChat):
    """Counts the streams that are open at once."""

    jan: Any
    most = 0

    async def create_stream(self, body: Any) -> Any:
        async with aclosing(super().create_stream(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                self.most = max(self.most, self.open)
                yield chunk


ENGINES: dict[str, Counting] = {}
sys.modules["jan_code_counting"] = sys.modules[__name__]


@hookimpl
def provide_chat(settings: Any, jan: Any) -> Counting:
    found = ENGINES[str(jan.root)] = Counting(jan)
    return found


async def begun(root: Path, walls: bool, **settings: Any) -> tuple[Assistant, Counting]:
    """An assistant on an engine that counts; its app is to be entered."""
    modules = {**SCRIPTED, "chat-scripted": "jan_code_counting"}
    jan = wired(root, {"jan-code": settings, "server": {"log_requests": False}}, modules=modules, backends=BACKENDS)
    code = jan.backend(Code)
    code._tried = not walls
    engine = ENGINES[str(root)]
    engine.jan = jan
    return Assistant(root, code), engine


class TestTogether:
    async def test_runs_do_not_wait_for_each_other_nor_for_calls(self, assistant: Assistant) -> None:
        assistant.write(
            ADD
            + '\ndef hang() -> None:\n    """H."""\n    while True: pass\n'
            + BEGIN
            + "    yield str(__import__('os').getpid())\n    import threading\n"
            + "    threading.Event().wait(0.5)\n    yield ','\n"
        )
        await assistant.settled()
        await assistant.names()
        call = asyncio.create_task(assistant.call("hang"))
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(text(assistant) for n in range(4)))
        assert loop.time() - began < 10
        assert len(assistant.code._places["a", 0].free) == 4
        assert not call.done()
        call.cancel()
        await asyncio.wait({call})

    @pytest.mark.parametrize("assistant", [{"runs": 1}], indirect=True)
    async def test_more_than_may_go_on_wait(self, assistant: Assistant) -> None:
        assistant.write(BEGIN + "    yield 'x'\n")
        assert await asyncio.gather(*(text(assistant) for n in range(3))) == ["x", "x", "x"]
        assert len(assistant.code._places["a", 0].free) == 1

    async def test_cancelling_ends_the_process_and_what_it_asked(self, tmp_path: Path, walls: bool) -> None:
        assistant, engine = await begun(tmp_path, walls)
        async with engine.jan:
            assistant.write(BEGIN + "    async for one in context.ask():\n        yield one\n")
            heard = asyncio.Event()

            async def listen() -> None:
                async with aclosing(assistant.code.run("a", context('{"say": ["x"], "hang": true}'))) as events:
                    async for one in events:
                        if one == Said("x"):
                            heard.set()

            task = asyncio.create_task(listen())
            await heard.wait()
            began = asyncio.get_running_loop().time()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert asyncio.get_running_loop().time() - began < 1
            assert engine.open == 0
            (place,) = assistant.code._places["a", 0].free
            assert place.process is None

    async def test_a_run_whose_reader_is_slow_waits(self, assistant: Assistant) -> None:
        assistant.write(
            BEGIN + "    import time\n    for n in range(20000): yield 'x' * 50\n    context.step('x', {}, '')\n"
        )
        found: list[Any] = []
        async with aclosing(assistant.code.run("a", context())) as events:
            async for one in events:
                if len(found) == 1:
                    await asyncio.sleep(0.5)
                    conversation = events.ag_frame.f_locals["conversation"]
                    assert len(conversation._waiting) < 10_000
                    assert not conversation._process._reading
                found += [] if one == Said("") else [one]
        assert len(found) == 20_002
        assert found[-1] == Stepped("x", "{}", "")

    async def test_the_app_ends_while_one_goes_on(self, tmp_path: Path, walls: bool) -> None:
        assistant, engine = await begun(tmp_path, walls)
        async with engine.jan:
            assistant.write(BEGIN + "    yield str(__import__('os').getpid())\n    while True: pass\n")
            events = assistant.code.run("a", context())
            assert isinstance(await anext(events), Begins)
            async for one in events:
                if one != Said(""):
                    break
            running = events.ag_frame.f_locals["running"]
            number = running.process._transport.get_pid()
            await events.aclose()
        await gone(number)
