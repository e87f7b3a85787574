"""Tools of an assistant's own, as functions in its folder, called by runs on the scripted engine."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from jan_runs import asking, recovery
from jan_runs.notes import Notes

from jan_core.schemas.runs import KeptRun, ToolOutputsRequest
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, Place, Talk, around, names, scripted

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the code's limits are POSIX's")]

CODE = '''
import pathlib, threading

def double(n: int) -> int:
    """Doubles a number."""
    return 2 * n

def next(n: int) -> str:
    """What the engine is to do next."""
    return '{"say": ["it is ", "%d"]}' % n

def note(path: str) -> str:
    """Writes into a file."""
    with open(path, "a") as file:
        file.write("x")
    return "noted"

def hang() -> str:
    """Never returns."""
    threading.Event().wait()

def fail() -> str:
    """Fails."""
    raise ValueError("no")
'''


def write(root: Path, text: str = CODE) -> Path:
    index = root / "assistants" / "jan" / "src" / "index.py"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(text)
    return index


def calls(*called: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"call": [{"name": name, "arguments": given} for name, given in called], **more}


def details(step: Any) -> list[tuple[str, str | None]]:
    return [(one.function.name, one.function.output) for one in step.step_details.tool_calls]


async def test_a_call_is_carried_out_and_the_model_goes_on(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        await talk.say(calls(("next", {"n": 7})))
        events = await talk.events()
        run = events[-1].data
        assert run.status == "completed"
        assert names(events) == [
            "thread.run.created",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.run.step.delta",
            "thread.run.step.completed",
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.message.created",
            "thread.message.in_progress",
            "thread.message.delta",
            "thread.message.completed",
            "thread.run.step.completed",
            "thread.run.completed",
        ]
        first, second = await talk.steps(run)
        assert (first.type, first.status, second.type) == ("tool_calls", "completed", "message_creation")
        assert details(first) == [("next", '{"say": ["it is ", "7"]}')]
        assert await talk.answers() == [("completed", "it is 7")]
        asked = talk.engine.asked
        assert [tool.function.name for tool in asked[0].tools] == ["double", "next", "note", "hang", "fail"]
        assert asked[1].messages[-1].role == "tool"
        assert run.usage.total_tokens == first.usage.total_tokens + second.usage.total_tokens
        assert run.tools == []


async def test_the_grammar_of_the_stream_holds(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        await talk.say({"say": ["well, "], **calls(("double", {"n": 2}), ("next", {"n": 7}))})
        told = [(one.event, one.data.model_dump(mode="json")) for one in await talk.events()]
        story(told)


async def test_several_calls_one_after_another_and_errors_for_the_model(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        await talk.say(calls(("double", {"n": 2}), ("fail", {}), ("double", {"n": "x"}), ("next", {"n": 1})))
        run = await talk.end(await talk.run())
        first, _ = await talk.steps(run)
        assert details(first)[:3] == [
            ("double", "4"),
            ("fail", "error: ValueError: no (index.py, line 24)"),
            ("double", 'error: n is "x", and must be of the type integer'),
        ]
        assert run.status == "completed"


async def test_tools_of_the_client_are_asked_for_when_the_own_ones_are_done(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        await talk.say(calls(("add", {}), ("double", {"n": 4}), ("add", {})))
        events = await talk.events(tools=[FUNCTION])
        assert events[-1].event == "thread.run.requires_action"
        run = events[-1].data
        wanted = run.required_action.submit_tool_outputs.tool_calls
        assert [one.function.name for one in wanted] == ["add", "add"]
        (step,) = await talk.steps(run)
        assert step.status == "in_progress"
        assert details(step) == [("add", None), ("double", "8"), ("add", None)]
        given = [{"tool_call_id": one.id, "output": scripted(say=["done"])} for one in wanted]
        await talk.jan.runs.submit_tool_outputs(
            talk.thread, run.id, ToolOutputsRequest.model_validate({"tool_outputs": given})
        )
        run = await talk.end(run)
        assert run.status == "completed"
        assert [output for _, output in details((await talk.steps(run))[0])][1] == "8"
        assert [one.content for one in talk.engine.asked[-1].messages if one.role == "tool"][1] == "8"


async def test_of_two_with_one_name_the_given_one_counts(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path, 'def add() -> str:\n    """A."""\n    return "x"\n')
    async with talk:
        await talk.say(calls(("add", {})))
        run = await talk.end(await talk.run(tools=[FUNCTION]))
        assert run.status == "requires_action"
        assert [tool.function.name for tool in talk.engine.asked[0].tools] == ["add"]


async def test_tool_choice_may_ask_for_one(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        await talk.say("hello")
        choice = {"type": "function", "function": {"name": "double"}}
        run = await talk.end(await talk.run(tool_choice=choice))
        called = [step for step in await talk.steps(run) if step.type == "tool_calls"]
        assert [details(step)[0][0] for step in called] == ["double"]
        await talk.say("hello")
        run = await talk.end(await talk.run(tool_choice="required"))
        assert [step.type for step in await talk.steps(run)].count("tool_calls") == 1


@pytest.mark.parametrize("more", [{}, {"tool_choice": {"type": "function", "function": {"name": "double"}}}])
async def test_broken_code_fails_the_assistants_runs_with_file_and_line(
    talk: Talk, tmp_path: Path, more: dict[str, Any]
) -> None:
    index = write(tmp_path, "x = 1\ny = nothing\n")
    async with talk:
        await talk.say("hello")
        run = await talk.end(await talk.run(**more))
        assert run.status == "failed"
        assert run.last_error is not None
        assert f"{index}:2: NameError: name 'nothing' is not defined" in run.last_error.message
        write(tmp_path)
        assert (await talk.end(await talk.run())).status == "completed"


async def test_cancelling_ends_a_call(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        await talk.say(calls(("double", {"n": 1}), ("hang", {})))
        run = await talk.run()
        async with asyncio.timeout(20):
            while not any(step.step_details.tool_calls for step in await talk.steps(run)):
                await asyncio.sleep(0.01)
        await talk.jan.runs.cancel(talk.thread, run.id)
        run = await talk.end(run)
        assert run.status == "cancelled"
        (step,) = await talk.steps(run)
        assert step.status == "cancelled"
        assert step.usage is not None
        assert run.usage is not None
        assert run.usage.total_tokens == step.usage.total_tokens


async def test_a_call_that_takes_too_long_is_told_to_the_model(tmp_path: Path, place: Place) -> None:
    write(tmp_path)
    talk = Talk(tmp_path, place, tables={"jan-code": {"call_seconds": 1.0}}, backends={"jan-code": "jan_code:Code"})
    async with talk:
        await talk.say(calls(("hang", {})))
        run = await talk.end(await talk.run())
        assert run.status == "completed"
        assert details((await talk.steps(run))[0]) == [("hang", "error: hang was ended: it took longer than 1 s")]


async def test_what_broke_off_in_a_call_fails_and_is_not_called_twice(tmp_path: Path, place: Place) -> None:
    write(tmp_path)
    talk = Talk(tmp_path, place)
    async with talk:
        await talk.say(calls(("double", {"n": 1}), ("hang", {}), ("double", {"n": 3})))
        run = await talk.run()
        async with asyncio.timeout(20):
            while not any((one := _newest(kept)) and one.started for kept in _kept(talk)):
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
        assert run.last_error.message == recovery.CALLING.format(name="hang")
        (step,) = await again.steps(run)
        assert step.status == "failed"
        assert details(step) == [("double", "2"), ("hang", None), ("double", None)]
        assert again.engine.asked == []


def _kept(talk: Talk) -> list[KeptRun]:
    return [KeptRun.model_validate_json(text) for text in talk.place.runs[talk.thread].values()]


def _newest(kept: KeptRun) -> Any:
    rounds = Notes.of(kept).rounds
    return next((one for one in rounds[-1].calls if one.name == "hang"), None) if rounds else None


async def test_a_call_lasts_as_begun_before_it_is_made(talk: Talk, tmp_path: Path) -> None:
    mark = tmp_path / "assistants" / "jan" / "mark"
    write(tmp_path)
    async with talk:
        seen: list[tuple[bool, str]] = []

        async def before_write(kept: KeptRun) -> None:
            rounds = Notes.of(kept).rounds
            for one in rounds[-1].calls if rounds else ():
                seen.append((one.started, json.loads(one.arguments)["path"] if mark.exists() else "none"))

        talk.stored._store.before_write = before_write  # type: ignore[attr-defined]
        await talk.say(calls(("note", {"path": str(mark)})))
        await talk.end(await talk.run())
        assert seen[0] == (True, "none")


async def test_max_completion_tokens_holds_over_own_calls(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        await talk.say({"say": ["a"] * 254, **calls(("next", {"n": 7}))})
        run = await talk.end(await talk.run(max_completion_tokens=256))
        assert (run.status, len(talk.engine.asked)) == ("incomplete", 1)
        assert run.usage is not None
        assert run.usage.completion_tokens == 256


async def test_a_call_that_goes_on_beyond_the_runs_time_ends_with_it(tmp_path: Path, place: Place) -> None:
    write(tmp_path)
    async with Talk(tmp_path, place, expires_seconds=3) as talk:
        await talk.say(calls(("hang", {})))
        told = story(await talk.events())
    assert told.statuses == ["queued", "in_progress", "expired"]
    assert [one["status"] for one in told.steps.values()] == ["expired"]


async def held_up(talk: Talk, output: str, error: OSError | None = None) -> list[Any]:
    """The events of a run whose store takes in an output only once the engine is asked for more, or not at all."""
    store: Any = talk.stored._store

    async def wait(kept: KeptRun) -> None:
        if output in kept.model_dump_json() and len(talk.engine.asked) < 3:
            async with asyncio.timeout(60):
                while len(talk.engine.asked) < 2:
                    await asyncio.sleep(0.001)
            for _ in range(50):
                await asyncio.sleep(0)
            if error is not None:
                raise error

    store.before_write = wait
    await talk.say(calls(("double", {"n": 21})))
    return await talk.events()


async def test_the_model_goes_on_while_the_output_is_stored_and_is_told_after_it(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        events = await held_up(talk, '"output":"42"')
    assert events[-1].data.status == "completed"
    told = names(events)
    assert told.index("thread.run.step.completed") < told.index("thread.message.created")


async def test_what_the_model_says_to_an_output_that_cannot_be_stored_is_not_told(talk: Talk, tmp_path: Path) -> None:
    write(tmp_path)
    async with talk:
        with pytest.raises(OSError, match="no room"):
            await held_up(talk, '"output":"42"', OSError("no room"))
        assert len(talk.engine.asked) == 2
        assert await talk.answers() == []


@pytest.mark.parametrize(("characters", "reads"), [(10, 1), (asking.REMEMBERED, 2)])
async def test_a_short_conversation_is_read_once(talk: Talk, tmp_path: Path, characters: int, reads: int) -> None:
    """A long one for each answer; either way the model is shown the same."""
    write(tmp_path)
    read: list[Any] = []
    shown: list[list[Any]] = []

    async def reading(proceed: Any, *given: Any) -> Any:
        read.append(given)
        return await proceed(*given)

    async def asked(proceed: Any, body: Any) -> Any:
        shown.append([one.model_dump(mode="json") for one in body.messages])
        return await proceed(body)

    async with talk:
        await talk.say("x" * characters, calls(("next", {"n": 7})))
        with around(talk, "messages.list", reading), around(talk, "chat.create_stream", asked):
            run = (await talk.events())[-1].data
    assert run.status == "completed"
    assert len(read) == reads
    first, second = shown
    assert second[: len(first)] == first
    assert [one["role"] for one in second[len(first) :]] == ["assistant", "tool"]
