"""One answer of the model, and what a process that ends in the middle of it leaves to the next one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from jan_runs import answering

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import KeptRun, Run, ToolOutputsRequest
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, InMemory, Place, Talk, around, request, scripted, slow_calls

pytestmark = pytest.mark.anyio

SAYS_AND_CALLS = {"say": ["Let me ", "look."], "call": [{"name": "add", "arguments": {"a": 1}}]}
LONGEST = 20
"""Writes that no run here needs."""


async def broken_off(
    tmp_path: Path, place: Place, script: Any, *, writes: int, heard: bool, power_cut: bool
) -> tuple[str, bool]:
    """Begin a run in a process that ends after so many writes of it; its thread, and whether it came to its end."""
    left = writes

    async def die(kept: KeptRun) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError("the process ends here")

    async def nothing_more(proceed: Any, message: Any) -> Any:
        if left < 0:
            raise OSError("the process has ended")
        return await proceed(message)

    async with Talk(tmp_path, place) as talk:
        store = talk.stored._store
        assert isinstance(store, InMemory)
        await talk.say(script)
        store.before_write = die
        with around(talk, "messages.put", nothing_more), suppress(OSError):
            if heard:
                await talk.events(tools=[FUNCTION])
            else:
                await talk.run(tools=[FUNCTION])
                await talk.stored._loop.settled()
        whole = left >= 0
        left = 0
    if power_cut:
        place.power_cut()
    place.held = set()
    return talk.thread, whole


async def taken_up(tmp_path: Path, place: Place, thread: str) -> tuple[Run | None, list[Any]]:
    """What became of the run in another process, and the answers."""
    other = Talk(tmp_path, place)
    other.thread = thread
    async with other:
        runs = place.runs.get(thread, {})
        for run_id in runs:
            other.stored._loop.start(thread, run_id)
            run = await other.end(run_id)
            if run.status == "requires_action":
                assert run.required_action is not None
                calls = run.required_action.submit_tool_outputs.tool_calls
                told = [{"tool_call_id": one.id, "output": scripted(say=["done"])} for one in calls]
                await other.jan.runs.submit_tool_outputs(
                    thread, run_id, ToolOutputsRequest.model_validate({"tool_outputs": told})
                )
                run = await other.end(run_id)
            steps = await other.steps(run)
            assert all(one.status != "in_progress" for one in steps)
            said = [one.step_details.message_creation.message_id for one in steps if one.type == "message_creation"]
            assert [one.id for one in await other.messages() if one.role == "assistant"] == said
            return run, await other.answers()
    return None, []


class TestACrash:
    @pytest.mark.parametrize("power_cut", [False, True])
    @pytest.mark.parametrize("heard", [True, False])
    async def test_at_whatever_write_nothing_is_said_twice(self, tmp_path: Path, heard: bool, power_cut: bool) -> None:
        ends = set()
        for writes in range(1, LONGEST):
            place = Place()
            thread, whole = await broken_off(
                tmp_path, place, SAYS_AND_CALLS, writes=writes, heard=heard, power_cut=power_cut
            )
            run, answers = await taken_up(tmp_path, place, thread)
            assert run is not None
            texts = [text for _, text in answers]
            assert texts in (["Let me look."], ["Let me look.", "done"], ["Let me "], [""]), (writes, texts)
            assert run.status == ("completed" if texts[-1] == "done" else "failed"), (writes, run)
            ends.add(run.status)
            if whole:
                break
        else:
            raise AssertionError("the run never came to its end")
        assert ends == {"completed", "failed"}

    @pytest.mark.parametrize("power_cut", [False, True])
    async def test_a_short_answer_is_in_the_thread_once(self, tmp_path: Path, power_cut: bool) -> None:
        for heard in (True, False):
            for writes in range(1, LONGEST):
                place = Place()
                script = {"say": ["a ", "b"]}
                thread, whole = await broken_off(
                    tmp_path, place, script, writes=writes, heard=heard, power_cut=power_cut
                )
                run, answers = await taken_up(tmp_path, place, thread)
                assert run is not None
                assert len(answers) == 1, (heard, writes, answers)
                assert run.status == ("completed" if answers[0][0] == "completed" else "failed")
                if whole:
                    break
            else:
                raise AssertionError("the run never came to its end")

    async def test_calls_last_a_moment_after_they_began(
        self, tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was written of them by then is shown in the step that failed."""
        monkeypatch.setattr(answering, "FIRST_SECONDS", 0)
        talk = Talk(tmp_path, place)
        async with talk:
            await talk.say({"call": [{"name": "add", "arguments": {"a": 1}}]})
            store = talk.stored._store
            assert isinstance(store, InMemory)

            begun = asyncio.Event()

            async def fail(kept: KeptRun) -> None:
                if kept.run.status == "requires_action":
                    raise OSError("the process ends here")
                if kept.steps:
                    begun.set()

            store.before_write = fail
            with around(talk, "chat.create_stream", slow_calls(begun)), pytest.raises(OSError, match="ends here"):
                await talk.events(tools=[FUNCTION])
        place.power_cut()
        run, answers = await taken_up(tmp_path, place, talk.thread)
        assert run is not None
        assert (run.status, answers) == ("failed", [])
        (kept,) = (KeptRun.model_validate_json(text) for text in place.runs[talk.thread].values())
        (step,) = kept.steps
        assert step.status == "failed"
        assert [call.function.name for call in step.step_details.tool_calls] == ["add"]

    async def test_an_answer_that_is_begun_anew_may_be_another(self, tmp_path: Path, place: Place) -> None:
        """It calls, where the first time it spoke: what it had said then is shown no more."""
        thread, _ = await broken_off(tmp_path, place, {"say": []}, writes=2, heard=False, power_cut=False)
        (run_id,) = place.runs[thread]
        kept = KeptRun.model_validate_json(place.runs[thread][run_id])
        assert "saying" in kept.request
        kept.run = kept.run.model_copy(update={"tool_choice": "required"})
        place.runs[thread][run_id] = kept.model_dump_json()
        async with Talk(tmp_path, place) as talk:
            talk.thread = thread
            talk.stored._loop.start(thread, run_id)
            run = await talk.end(run_id)
            assert run.status == "requires_action"
            assert await talk.answers() == []
            assert [one.type for one in await talk.steps(run)] == ["tool_calls"]


class TestCalls:
    async def test_those_that_are_whole_at_once_are_stored_with_what_follows(self, talk: Talk) -> None:
        written: list[list[int]] = []
        async with talk:
            await talk.say({"call": [{"name": "add", "arguments": {"a": 1}}, {"name": "add", "arguments": {"a": 2}}]})
            store = talk.stored._store
            assert isinstance(store, InMemory)

            async def note(kept: KeptRun) -> None:
                written.append([len(step.step_details.tool_calls) for step in kept.steps])

            store.before_write = note
            told = story(await talk.events(tools=[FUNCTION]))
        assert [calls for calls in written if calls] == [[2]]
        wanted = told.run["required_action"]["submit_tool_outputs"]["tool_calls"]
        assert [json.loads(call["function"]["arguments"]) for call in wanted] == [{"a": 1}, {"a": 2}]

    async def test_those_that_come_slowly_are_told_as_they_come(self, talk: Talk) -> None:
        heard = asyncio.Event()
        async with talk:
            await talk.say({"call": [{"name": "add", "arguments": {"a": 1}}]})
            with around(talk, "chat.create_stream", slow_calls(heard)):
                told = []
                async for event in talk.jan.runs.create_stream(talk.thread, request(tools=[FUNCTION])):
                    told.append(event)
                    if event.event == "thread.run.step.delta":
                        heard.set()  # else the call would not go on
        pieces = [event for event in told if event.event == "thread.run.step.delta"]
        assert len(pieces) > 1
        (wanted,) = story(told).run["required_action"]["submit_tool_outputs"]["tool_calls"]
        assert json.loads(wanted["function"]["arguments"]) == {"a": 1}

    async def test_where_their_beginning_cannot_be_stored_the_run_stays_as_it_was(self, talk: Talk) -> None:
        refused = asyncio.Event()
        async with talk:
            await talk.say({"call": [{"name": "add", "arguments": {"a": 1}}]})
            store = talk.stored._store
            assert isinstance(store, InMemory)

            async def full(kept: KeptRun) -> None:
                if kept.steps:
                    refused.set()
                    raise OSError("no room")

            store.before_write = full
            with around(talk, "chat.create_stream", slow_calls(refused)), pytest.raises(OSError, match="no room"):
                await talk.events(tools=[FUNCTION])
            assert await talk.steps(next(iter(talk.place.runs[talk.thread]))) == []

    async def test_calls_that_a_limit_cut_are_not_shown_as_whole(self, talk: Talk) -> None:
        async def cut(proceed: Any, body: Any) -> Any:
            chunks = await proceed(body)

            async def through() -> AsyncIterator[Any]:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        if chunk.choices and chunk.choices[0].finish_reason:
                            chunk.choices[0].finish_reason = "length"
                        yield chunk

            return through()

        async with talk:
            await talk.say({"call": [{"name": "add", "arguments": '{"a": 1'}]})
            with around(talk, "chat.create_stream", cut):
                told = story(await talk.events(tools=[FUNCTION]))
            (step,) = told.steps.values()
            run = await talk.end(told.run["id"])
            assert (await talk.steps(run))[0].model_dump(mode="json") == step
        assert (run.status, run.last_error) == ("incomplete", None)
        assert run.incomplete_details is not None
        assert run.incomplete_details.reason == "max_completion_tokens"
        assert step["status"] == "failed"
        assert "not whole" in step["last_error"]["message"]

    async def test_a_cancel_between_a_text_and_its_calls(self, talk: Talk) -> None:
        """The text is whole, and is told so; the calls never begin."""
        heard: list[Any] = []

        async def cancelled(proceed: Any, message: Any) -> Any:
            await proceed(message)
            await talk.jan.runs.cancel(talk.thread, heard[0].data.id)

        async with talk:
            await talk.say({**SAYS_AND_CALLS, "rate": 20})
            with around(talk, "messages.put", cancelled):
                async for event in talk.jan.runs.create_stream(talk.thread, talk.request(tools=[FUNCTION])):
                    heard.append(event)
            told = story(heard)
            assert await talk.answers() == [("completed", "Let me look.")]
        assert told.run["status"] == "cancelled"
        assert [one["status"] for one in told.steps.values()] == ["completed"]


class TestAMessageThatIsRefused:
    async def test_its_run_fails_and_says_that_the_thread_does_not_have_it(self, talk: Talk) -> None:
        async def refuse(proceed: Any, message: Any) -> Any:
            raise InvalidRequest("The messages are damaged.")

        async with talk:
            await talk.say({"say": ["a"]})
            with around(talk, "messages.put", refuse):
                told = story(await talk.events())
            assert await talk.answers() == []
        assert told.names[-3:] == ["thread.message.incomplete", "thread.run.step.failed", "thread.run.failed"]
        assert told.run["last_error"]["message"] == (
            "The messages are damaged. What was said is not in the thread, since it could not be stored: "
            "The messages are damaged."
        )
