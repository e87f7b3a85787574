from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.schemas.assistants import AssistantRequest
from jan_core.schemas.messages import MessageRequest
from jan_core.schemas.runs import (
    RunStepQuery,
    RunStepsQuery,
    RunUpdate,
    ThreadRunRequest,
    ToolOutput,
    ToolOutputsRequest,
)
from jan_core.schemas.threads import ThreadsQuery
from jan_core.testing.contract.run_grammar import story
from jan_core.testing.memory import names_of
from jan_core.testing.memory_messages import _STORAGES
from tests.conversations import under
from tests.parts import until

from .conftest import FUNCTION, Talk, names, scripted, text_of

pytestmark = pytest.mark.anyio


def names_once(told: list[str]) -> list[str]:
    """The names of events, with those deltas as one that follow each other."""
    return [name for name, before in zip(told, ["", *told], strict=False) if name != before]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def threads(talk: Talk) -> list[str]:
    return [one.id for one in (await talk.jan.threads.list(ThreadsQuery())).data]


async def test_a_run_begins_queued_and_ends(talk: Talk) -> None:
    async with talk:
        await talk.say("one two")
        run = await talk.run(metadata={"a": "b"})
        assert (run.status, run.metadata) == ("queued", {"a": "b"})
        assert run.id.startswith("run_")
        assert (await talk.end(run)).status == "completed"
        assert await talk.answers() == [("completed", "one two ")]


async def test_additional_messages_come_first_and_once(talk: Talk) -> None:
    async with talk:
        await talk.say("first")
        body = {"additional_messages": [user("second"), user("third word")]}
        runs = [await under("key", lambda: talk.run(**body)) for _ in range(3)]
        assert len({one.id for one in runs}) == 1
        await talk.end(runs[0])
        assert [text_of(one) for one in await talk.messages()] == ["first", "second", "third word", "third word "]
        with pytest.raises(Conflict):
            await under("key", lambda: talk.run())


async def test_a_stream_that_is_asked_for_again_keeps_nobody_waiting(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(say=["a"], hang=True))
        run = await under("key", talk.run)
        told: list[Any] = []

        async def ask() -> None:
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                told.append(event)

        asking = asyncio.create_task(under("key", ask))
        await until(lambda: len(told) >= 2)
        assert [one.event for one in told[:2]] == ["thread.run.created", "thread.run.queued"]
        assert told[0].data == run
        async with asyncio.timeout(20):
            with pytest.raises(InvalidRequest) as refused:
                await talk.jan.messages.create(talk.thread, MessageRequest(role="user", content="no"))
        assert refused.value.code == "run_active"
        await talk.jan.runs.cancel(talk.thread, run.id)
        await asking
        assert told[-1].event == "thread.run.cancelled"


async def test_a_thread_and_its_run_in_one(talk: Talk) -> None:
    async with talk:
        thread: Any = {"messages": [user("hello you")], "metadata": {"a": "b"}}
        body = ThreadRunRequest.model_validate({"assistant_id": "jan", "thread": thread})
        run = await talk.jan.runs.create_thread(body)
        talk.thread = run.thread_id
        await talk.end(run)
        assert await talk.answers() == [("completed", "hello you ")]
        told = [event async for event in talk.jan.runs.create_thread_stream(body)]
        assert names(told)[:2] == ["thread.created", "thread.run.created"]
        assert told[0].data.id == told[1].data.thread_id != run.thread_id
        repeated = [await under("key", lambda: talk.jan.runs.create_thread(body)) for _ in range(3)]
        assert len({(one.id, one.thread_id) for one in repeated}) == 1
        assert len(await threads(talk)) == 3


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"assistant_id": "asst_none"}, NotFound),
        ({"assistant_id": "jan", "tool_choice": "required"}, InvalidRequest),
        ({"assistant_id": "jan", "tools": [], "tool_choice": {"type": "file_search"}}, InvalidRequest),
    ],
)
async def test_no_thread_is_made_for_a_run_that_cannot_be(talk: Talk, fields: Any, error: type[Exception]) -> None:
    async with talk:
        with pytest.raises(error):
            await talk.jan.runs.create_thread(ThreadRunRequest.model_validate(fields))
        assert await threads(talk) == []


async def test_what_the_new_thread_sets_counts(talk: Talk) -> None:
    async with talk:
        names_of(talk.root)["other"] = "scripted"
        for thread in (
            {"model": "other", "parameters": {"temperature": 0.5}},
            {"assistants": [{"assistant_id": "jan", "model": "other"}], "parameters": {"temperature": 0.5}},
        ):
            body = ThreadRunRequest.model_validate({"assistant_id": "jan", "thread": {**thread}})
            run = await talk.jan.runs.create_thread(body)
            assert (run.model, run.temperature) == ("other", 0.5)


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_stream_that_is_asked_for_again_tells_the_same(talk: Talk, goes_on: bool) -> None:
    async with talk:
        await talk.say(scripted(say=["hello ", "you"], rate=20))
        asking = asyncio.create_task(under("key", talk.events))
        if goes_on:
            await until(lambda: talk.engine.open == 1)
        else:
            await asyncio.wait([asking])
        again = story(await under("key", talk.events))
        first = story(await asking)
        assert names_once(again.names) == names_once(first.names)
        assert (again.run, again.steps, again.messages) == (first.run, first.steps, first.messages)
        assert len(talk.engine.asked) == 1


async def test_a_stream_that_is_asked_for_again_when_its_thread_goes(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(say=["a"], hang=True))
        run = await under("key", talk.run)
        asking = asyncio.create_task(under("key", talk.events))
        await until(lambda: len(talk.stored._loop._going[run.id].turns) == 1)
        await talk.jan.threads.delete(talk.thread)
        with pytest.raises(NotFound) as gone:
            await asking
        assert gone.value.code == "thread_not_found"


async def test_a_repeated_request_needs_no_assistant(talk: Talk) -> None:
    async with talk:
        await talk.say("hello")
        tutor = await talk.jan.assistants.create(AssistantRequest(model="scripted"))
        body = ThreadRunRequest.model_validate({"assistant_id": tutor.id, "thread": {"messages": [user("hello")]}})
        first = await under("key", lambda: talk.run(assistant_id=tutor.id))
        both = await under("key", lambda: talk.jan.runs.create_thread(body))
        await talk.jan.assistants.delete(tutor.id)
        assert await under("key", lambda: talk.run(assistant_id=tutor.id)) == first
        assert await under("key", lambda: talk.jan.runs.create_thread(body)) == both
        with pytest.raises(Conflict):
            await under("key", talk.run)
        with pytest.raises(NotFound):
            await talk.run(assistant_id=tutor.id)


async def test_who_leaves_a_new_thread_at_once_listens_no_more(talk: Talk) -> None:
    async with talk:
        body = ThreadRunRequest.model_validate(
            {"assistant_id": "jan", "thread": {"messages": [user(scripted(say=["a"], hang=True))]}}
        )
        told = talk.jan.runs.create_thread_stream(body)
        made = await anext(told)
        assert made.event == "thread.created"
        await told.aclose()
        talk.thread = made.data.id
        (run,) = talk.place.runs[talk.thread]
        turn = talk.stored._loop._going[run].turn
        assert turn is None or len(turn.feed) == 0
        await talk.jan.runs.cancel(talk.thread, run)
        assert (await talk.end(run)).status == "cancelled"


async def test_a_thread_that_is_deleted_while_it_is_given_messages(talk: Talk) -> None:
    async with talk:
        thread = await talk.say("hello")
        really = talk.jan.messages.put

        async def slow(message: Any) -> None:
            await really(message)
            if text_of(message) == "m2":
                await talk.jan.threads.delete(thread)
                await talk.jan.reconciler.settled()
                await really(message)  # as one that was on its way to the disk

        talk.jan.messages.put = slow
        with pytest.raises(NotFound) as gone:
            await talk.run(additional_messages=[user(f"m{number}") for number in range(5)])
        assert gone.value.code == "thread_not_found"
        assert thread not in talk.place.runs
        stored = _STORAGES[talk.root]
        assert thread not in stored


async def test_who_leaves_while_a_run_begins_leaves_it_going(talk: Talk) -> None:
    async with talk:
        really = talk.jan.threads.check

        async def slowly(thread_id: str) -> None:
            await asyncio.sleep(0)
            await really(thread_id)

        talk.jan.threads.check = slowly
        for turns in range(12):
            await talk.say("hello you")
            asking = asyncio.create_task(talk.run() if turns % 2 else talk.events())
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await talk.stored._settled()
            runs = list(talk.place.runs.get(talk.thread, {}))
            assert len(runs) == (turns > 0)  # once it was taken up, it is begun
            for run in runs:
                assert (await talk.end(run)).status == "completed"


async def test_outputs_of_tools(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(call=[{"name": "add"}]))
        run = await talk.end(await talk.run(tools=[FUNCTION]))
        assert run.required_action is not None
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        jan = talk.jan

        def outputs(*ids: str) -> ToolOutputsRequest:
            return ToolOutputsRequest(tool_outputs=[ToolOutput(tool_call_id=one, output="seven") for one in ids])

        for ids in ((), ("call_none",), (call.id, call.id)):
            with pytest.raises(InvalidRequest):
                await jan.runs.submit_tool_outputs(talk.thread, run.id, outputs(*ids))
            assert (await jan.runs.retrieve(talk.thread, run.id)).status == "requires_action"
        told = [one async for one in jan.runs.submit_tool_outputs_stream(talk.thread, run.id, outputs(call.id))]
        assert names(told)[:2] == ["thread.run.step.completed", "thread.run.queued"]
        assert names(told)[-1] == "thread.run.completed"
        again = [one async for one in jan.runs.submit_tool_outputs_stream(talk.thread, run.id, outputs(call.id))]
        assert names_once(story(again, resumed=True).names) == names_once(story(told, resumed=True).names)
        assert (
            again[-1].data == told[-1].data == await jan.runs.submit_tool_outputs(talk.thread, run.id, outputs(call.id))
        )
        others = ToolOutputsRequest(tool_outputs=[ToolOutput(tool_call_id=call.id, output="eight")])
        with pytest.raises(InvalidRequest) as refused:
            await jan.runs.submit_tool_outputs(talk.thread, run.id, others)
        assert (refused.value.code, refused.value.param) == ("run_not_waiting", "run_id")
        with pytest.raises(InvalidRequest) as refused:
            await jan.runs.cancel(talk.thread, run.id)
        assert (refused.value.code, refused.value.param) == ("run_ended", "run_id")
        assert await talk.answers() == [("completed", "seven ")]
        steps = await talk.steps(run)
        page = await jan.runs.list_steps(talk.thread, run.id, RunStepsQuery(limit=1))
        assert (page.data, page.has_more) == ([steps[1]], True)
        page = await jan.runs.list_steps(talk.thread, run.id, RunStepsQuery(limit=1, after=steps[1].id))
        assert (page.data, page.has_more) == ([steps[0]], False)
        found = await jan.runs.retrieve_step(talk.thread, run.id, steps[0].id, RunStepQuery())
        assert found == steps[0]
        with pytest.raises(NotFound) as missing:
            await jan.runs.retrieve_step(talk.thread, run.id, "step_none", RunStepQuery())
        assert (missing.value.code, missing.value.param) == ("step_not_found", "step_id")


async def test_what_is_not_there(talk: Talk) -> None:
    async with talk:
        thread = await talk.say("hello")
        for ask in (
            lambda: talk.jan.runs.retrieve(thread, "run_none"),
            lambda: talk.jan.runs.cancel(thread, "run_none"),
            lambda: talk.jan.runs.update(thread, "run_none", RunUpdate(metadata={})),
            lambda: talk.jan.runs.list_steps(thread, "run_none", RunStepsQuery()),
            lambda: talk.jan.runs.kept(thread, "run_none"),
        ):
            with pytest.raises(NotFound) as missing:
                await ask()
            assert missing.value.code == "run_not_found"
        talk.thread = "jan-1-none"
        for asked in (talk.run(), talk.events(), talk.jan.runs.retrieve("jan-1-none", "run_none")):
            with pytest.raises(NotFound) as missing:
                await asked
            assert missing.value.code == "thread_not_found"


async def test_what_is_said_just_now(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(say=["a", "b"], hang=True))
        assert await talk.jan.runs.unfinished(talk.thread) is None
        run = await talk.run()

        def said() -> bool:
            message = talk.stored._loop.saying(run.id)
            return message is not None and text_of(message) == "ab"

        await until(said)
        found = await talk.jan.runs.unfinished(talk.thread)
        assert (found.run.id, found.message.status, text_of(found.message)) == (run.id, "in_progress", "ab")
        with pytest.raises(InvalidRequest):
            await talk.jan.messages.create(talk.thread, MessageRequest(role="user", content="no"))
        kept = await talk.jan.runs.kept(talk.thread, run.id)
        with pytest.raises(InvalidRequest) as refused:
            await talk.jan.runs.put(kept)
        assert refused.value.code == "run_not_ended"
        await talk.jan.runs.clear(talk.thread)
        assert await talk.jan.runs.unfinished(talk.thread) is None
        assert talk.engine.open == 0


async def test_a_run_in_a_thread_that_is_deleted_meanwhile(talk: Talk) -> None:
    async with talk:
        thread = await talk.say("hello")

        async def delete(kept: Any) -> None:
            talk.stored._store.before_write = None  # type: ignore[attr-defined]
            await talk.jan.threads.delete(thread)

        talk.stored._store.before_write = delete  # type: ignore[attr-defined]
        with pytest.raises(NotFound):
            await talk.run()
        await talk.jan.reconciler.settled()
        assert thread not in talk.place.runs
