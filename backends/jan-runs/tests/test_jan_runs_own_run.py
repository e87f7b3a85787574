"""Assistants with a `run` of their own, in runs on the scripted engine."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from jan_code.backend import Code
from jan_runs import recovery
from jan_runs.notes import Notes

from jan_core.errors import JanError, ModelNotFound, NotSupported
from jan_core.schemas.runs import KeptRun, ToolOutputsRequest
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, Engine, Place, Talk, names
from .test_jan_runs_carrying_out import calls, details, write

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the code's limits are POSIX's")]
BEGIN = "async def run(context):\n"
SAYS = BEGIN + '    yield "Hà "\n    yield "Nội"\n'
BOTH = BEGIN + "    yield 'one'\n    context.step('add', {'a': 1}, 2)\n    yield 'two'\n"


async def test_what_it_says_is_a_message(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, SAYS)
    async with talk:
        await talk.say("hello")
        events = await talk.events()
        assert names(events) == [
            "thread.run.created",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.message.created",
            "thread.message.in_progress",
            "thread.message.delta",
            "thread.message.completed",
            "thread.run.step.completed",
            "thread.run.completed",
        ]
        story([(one.event, one.data.model_dump(mode="json")) for one in events])
        assert await talk.answers() == [("completed", "Hà Nội")]
        assert talk.engine.asked == []


async def test_steps_stand_between_messages(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, BOTH)
    async with talk:
        await talk.say("hello")
        events = await talk.events(tools=[FUNCTION])
        story([(one.event, one.data.model_dump(mode="json")) for one in events])
        run = events[-1].data
        assert run.status == "completed"
        steps = await talk.steps(run)
        assert [(one.type, one.status) for one in steps] == [
            ("message_creation", "completed"),
            ("tool_calls", "completed"),
            ("message_creation", "completed"),
        ]
        assert details(steps[1]) == [("add", "2")]
        assert steps[1].step_details.tool_calls[0].function.arguments == '{"a": 1}'  # type: ignore[union-attr]
        assert await talk.answers() == [("completed", "one"), ("completed", "two")]


async def test_a_step_at_the_end_leaves_no_empty_message(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, BEGIN + "    yield 'one'\n    context.step('add', {'a': 1}, 2)\n")
    async with talk:
        await talk.say("hello")
        events = await talk.events()
        told = story([(one.event, one.data.model_dump(mode="json")) for one in events])
        assert told.run["status"] == "completed"
        assert await talk.answers() == [("completed", "one")]
        assert [one.type for one in await talk.steps(events[-1].data)] == ["message_creation", "tool_calls"]


async def test_it_is_given_what_the_loop_would_use(talk: Talk, tmp_path: Path) -> None:
    write(
        tmp_path,
        'def double(n: int) -> int:\n    """D."""\n    return 2 * n\n'
        + BEGIN
        + """
    import json
    request = context.request
    yield json.dumps([
        context.thread["id"], context.assistant["id"], context.run["id"], context.run["instructions"],
        [one["content"][0]["text"]["value"] for one in context.messages],
        request["messages"], request["temperature"], request["model"], context.tools[0]["function"]["name"],
    ])
""",
    )
    async with talk:
        thread = await talk.say("first", "second")
        run = await talk.end(await talk.run(instructions="Be short.", temperature=0.5))
        ((_, text),) = await talk.answers()
        assert json.loads(text) == [
            thread,
            "jan",
            run.id,
            "Be short.",
            ["first", "second"],
            [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "first"},
                {"role": "user", "content": "second"},
            ],
            0.5,
            run.model,
            "double",
        ]


@pytest.mark.parametrize(
    ("told", "more", "found"),
    [
        (10, {}, "4 4"),
        (10, {"truncation_strategy": {"type": "last_messages", "last_messages": 5}}, "5 5"),
        (NotSupported("no"), {}, "8 8"),
        (ModelNotFound("no"), {}, "8 8"),
    ],
)
async def test_it_is_given_no_more_messages_than_the_model_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: int | JanError, more: dict[str, Any], found: str
) -> None:
    async def context_length(self: Any, body: Any) -> int:
        if isinstance(told, JanError):
            raise told
        return told

    monkeypatch.setattr(Engine, "context_length", context_length)
    write(tmp_path, BEGIN + "    yield f\"{len(context.messages)} {len(context.request['messages'])}\"\n")
    async with Talk(tmp_path) as talk:
        await talk.say(*["ế" * 50] * 8)
        assert (await talk.end(await talk.run(**more))).status == "completed"
        assert await talk.answers() == [("completed", found)]


async def test_it_asks_the_model_and_the_tokens_count(talk: Talk, tmp_path: Path) -> None:
    write(
        tmp_path,
        BEGIN
        + """
    async for piece in context.ask():
        yield piece
    context.step("look", {}, "")
    async for piece in context.ask(max_completion_tokens=1):
        yield piece
""",
    )
    async with talk:
        await talk.say("one two three")
        run = await talk.end(await talk.run())
        assert await talk.answers() == [("completed", "one two three "), ("completed", "one ")]
        _, called, said = await talk.steps(run)
        assert [(one.usage.prompt_tokens, one.usage.completion_tokens) for one in (called, said)] == [(3, 3), (3, 1)]  # type: ignore[union-attr]
        assert run.usage is not None
        assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (6, 4)


async def test_it_may_do_what_the_caller_may_but_not_run_in_its_own_thread(talk: Talk, tmp_path: Path) -> None:
    write(
        tmp_path,
        BEGIN
        + """
    import json
    async def post(path, body):
        reply = await context._pipe.ask("POST", path, [("content-type", "application/json")], json.dumps(body).encode())
        return json.loads(await reply.body())
    here = f"/v1/threads/{context.thread['id']}"
    yield (await post(here + "/runs", {"assistant_id": "jan"}))["error"]["code"]
    yield " " + (await post(here + "/messages", {"role": "user", "content": "x"}))["error"]["code"]
    yield " " + (await post("/v1/threads", {}))["object"]
""",
    )
    async with talk:
        await talk.say("hello")
        assert (await talk.end(await talk.run())).status == "completed"
        assert await talk.answers() == [("completed", "run_active run_active thread")]


@pytest.mark.parametrize(
    ("body", "why", "said"),
    [
        ("yield 'one'\n    raise ValueError('no')", "ValueError: no ({index}, line 3)", "one"),
        ("yield 'one'\n    yield 5", "run yielded 5, of the type int", "one"),
        ("yield 'one'\n    import os; os._exit(7)", "was ended: it ended by itself (exit code 7)", "one"),
        ("yield 'one'\n    while True: pass", "was ended: it took longer than 1 s", "one"),
        ("raise ValueError('no')\n    yield ''", "ValueError: no ({index}, line 2)", None),
        ("context.client\n    yield ''", "name `openai` in the assistant's pyproject.toml", None),
    ],
)
async def test_one_that_fails_ends_the_run_and_keeps_what_it_said(
    tmp_path: Path, place: Place, body: str, why: str, said: str | None
) -> None:
    index = write(tmp_path, BEGIN + "    " + body + "\n")
    talk = Talk(tmp_path, place, tables={"jan-code": {"run_seconds": 1.0}}, backends={"jan-code": "jan_code:Code"})
    async with talk:
        await talk.say("hello")
        events = await talk.events()
        story([(one.event, one.data.model_dump(mode="json")) for one in events])
        run = events[-1].data
        assert (run.status, run.last_error.code) == ("failed", "server_error")
        assert why.format(index=index) in run.last_error.message
        assert await talk.answers() == ([] if said is None else [("incomplete", said)])
        write(tmp_path, SAYS)
        assert (await talk.end(await talk.run())).status == "completed"


async def test_one_that_cannot_be_loaded(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, "\n\ndef run(context):\n    yield 1\n")
    async with talk:
        await talk.say("hello")
        run = await talk.end(await talk.run())
        assert run.status == "failed"
        assert run.last_error is not None
        assert "line 3 must be an `async def`" in run.last_error.message


async def test_cancelling_ends_it_and_keeps_what_it_said(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, BEGIN + "    async for piece in context.ask():\n        yield piece\n")
    async with talk:
        await talk.say({"say": ["one ", "two"], "hang": True})
        run = await talk.run()
        async with asyncio.timeout(20):
            while talk.engine.said < 2:
                await asyncio.sleep(0.01)
            while not (said := talk.stored._loop.saying(run.id)) or "two" not in str(said):
                await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await talk.jan.runs.cancel(talk.thread, run.id)
        run = await talk.end(run)
        assert run.status == "cancelled"
        assert asyncio.get_running_loop().time() - began < 2
        assert await talk.answers() == [("incomplete", "one two")]
        assert talk.engine.open == 0
        (place,) = talk.jan.backend(Code)._places["jan", 0].free
        assert place.process is None


async def test_it_ends_with_its_thread(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, BEGIN + "    yield 'one'\n    while True: pass\n")
    async with talk:
        await talk.say("hello")
        run = await talk.run()
        async with asyncio.timeout(20):
            while not talk.stored._loop.saying(run.id):
                await asyncio.sleep(0.01)
        await talk.jan.threads.delete(talk.thread)
        places = talk.jan.backend(Code)._places["jan", 0]
        async with asyncio.timeout(20):
            while not places.free or places.free[0].process is not None:
                await asyncio.sleep(0.01)


async def test_several_threads_at_once(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, BEGIN + "    import asyncio\n    yield 'one'\n    await asyncio.sleep(0.2)\n    yield ' two'\n")
    async with talk:
        threads = [await talk.say("hello") for n in range(6)]
        runs = [await talk.jan.runs.create(one, talk.request()) for one in threads]
        for thread, run in zip(threads, runs, strict=True):
            talk.thread = thread
            assert (await talk.end(run)).status == "completed"
            assert await talk.answers() == [("completed", "one two")]


async def test_a_run_that_the_loop_has_begun_is_the_loops(talk: Talk, tmp_path: Path) -> None:
    async with talk:
        await talk.say(calls(("add", {})))
        run = await talk.end(await talk.run(tools=[FUNCTION]))
        assert run.status == "requires_action"
        write(tmp_path, SAYS)
        (call,) = run.required_action.submit_tool_outputs.tool_calls  # type: ignore[union-attr]
        given = {"tool_outputs": [{"tool_call_id": call.id, "output": "the model's"}]}
        await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, ToolOutputsRequest.model_validate(given))
        assert (await talk.end(run)).status == "completed"
        assert await talk.answers() == [("completed", "the model's ")]


def _kept(talk: Talk) -> KeptRun:
    (text,) = talk.place.runs[talk.thread].values()
    return KeptRun.model_validate_json(text)


async def test_that_it_begins_lasts_before_it_does(talk: Talk, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    write(tmp_path, BEGIN + f"    open({str(mark)!r}, 'w').close()\n    yield 'one'\n")
    async with talk:
        talk.jan.backend(Code)._tried = True  # the mark lies outside of any walls
        seen: list[tuple[bool, bool]] = []

        async def before_write(kept: KeptRun) -> None:
            seen.append((Notes.of(kept).own_run, mark.exists()))

        await talk.say("hello")
        talk.stored._store.before_write = before_write  # type: ignore[attr-defined]
        await talk.end(await talk.run())
        assert seen[:2] == [(False, False), (True, False)]
        assert mark.exists()
        assert ("in_progress", True) in talk.place.writes


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("yield 'one'", [("incomplete", "one")]),
        ("context.step('add', {}, 1)", []),
        ("yield 'one'\n    context.step('add', {}, 1)", [("completed", "one")]),
        ("pass", []),
    ],
)
async def test_after_a_crash_it_is_not_begun_again(
    tmp_path: Path, place: Place, body: str, said: list[tuple[str, str]]
) -> None:
    mark = tmp_path / "mark"
    write(
        tmp_path,
        BEGIN + f"    {body}\n    open({str(mark)!r}, 'a').write('x')\n    while True: pass\n    yield ''\n",
    )
    talk = Talk(tmp_path, place)
    async with talk:
        talk.jan.backend(Code)._tried = True
        await talk.say("hello")
        run = await talk.run()
        async with asyncio.timeout(20):
            while "context.step" in body and "tool_calls" not in str(place.runs):
                await asyncio.sleep(0.01)
            while not mark.exists() or not all(
                text in str(place.runs) for status, text in said if status == "incomplete"
            ):
                await asyncio.sleep(0.01)
        frozen = {name: dict(runs) for name, runs in place.runs.items()}
    place.runs, place.held = frozen, set()
    again = Talk(tmp_path, place)
    again.thread = talk.thread
    async with again:
        again.stored._loop.start(again.thread, run.id)
        run = await again.end(run)
        assert run.status == "failed"
        assert run.last_error is not None
        assert run.last_error.message == recovery.OWN_RUN
        assert not any(step.status == "in_progress" for step in await again.steps(run))
        assert await again.answers() == said
    assert mark.read_text() == "x"
