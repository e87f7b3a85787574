"""What one run does, from its beginning to where it waits or ends: states, steps, events, and what is stored when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jan_runs import answering

from jan_core.errors import JanError
from jan_core.schemas.runs import KeptRun, ToolOutputsRequest
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, InMemory, Talk, names, scripted, text_of

pytestmark = pytest.mark.anyio

WHOLE = [
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
CALL = {"call": [{"name": "add", "arguments": {"a": 1}}, {"name": "add", "arguments": "{"}]}


def outputs(*pairs: tuple[str, str]) -> ToolOutputsRequest:
    told = [{"tool_call_id": id, "output": output} for id, output in pairs]
    return ToolOutputsRequest.model_validate({"tool_outputs": told})


def wanted(run: Any) -> list[str]:
    return [call.id for call in run.required_action.submit_tool_outputs.tool_calls]


class TestAnAnswer:
    async def test_its_events_come_in_the_order_of_the_api(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["Hel", "lo"], "prompt_tokens": 3})
            events = await talk.events()
        assert names(events) == WHOLE
        told = story(events)
        assert told.run["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        assert [one["usage"] for one in told.steps.values()] == [told.run["usage"]]

    async def test_it_enters_the_thread_once_as_it_was_told(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["Hel", "lo"]})
            told = story(await talk.events())
            messages = await talk.messages()
        assert [text_of(one) for one in messages[1:]] == ["Hello"]
        assert messages[1].model_dump(mode="json") == next(iter(told.messages.values()))

    async def test_without_a_listener_it_is_the_same(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["Hel", "lo"]})
            run = await talk.end(await talk.run())
            steps = await talk.steps(run)
            assert await talk.answers() == [("completed", "Hello")]
        assert (run.status, [one.status for one in steps]) == ("completed", ["completed"])

    async def test_a_listener_that_leaves_stops_nothing(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a ", "b ", "c"], "rate": 50})
            events = talk.jan.runs.create_stream(talk.thread, talk.request())
            async for event in events:
                if event.event == "thread.message.delta":
                    break
            await events.aclose()
            active = await talk.stored._store.active(talk.thread)
            assert active is not None
            assert (await talk.end(active.run)).status == "completed"
            assert await talk.answers() == [("completed", "a b c")]

    async def test_while_it_is_said_it_can_be_read(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["Hel", "lo"], "rate": 0, "hang": True})
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                if event.event == "thread.message.delta":
                    message_id = event.data.id
                    break
            await asyncio.sleep(0.05)
            assert await talk.answers() == [("in_progress", "Hello")]
            message = await talk.jan.messages.retrieve(talk.thread, message_id)
            assert (message.status, text_of(message)) == ("in_progress", "Hello")

    async def test_an_empty_answer_is_one(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": []})
            told = story(await talk.events())
            assert await talk.answers() == [("completed", "")]
        assert [len(one["content"]) for one in told.messages.values()] == [1]

    async def test_a_second_run_is_shown_the_first_answer(self, talk: Talk) -> None:
        async with talk:
            await talk.say("one two")
            await talk.end(await talk.run())
            await talk.end(await talk.run())
            shown = [(one.role, one.content) for one in talk.engine.asked[-1].messages]
            # An empty message of a user makes it another turn: a model would go on with its answer otherwise.
            assert shown == [("user", "one two"), ("assistant", "one two "), ("user", "")]
            assert len(await talk.answers()) == 2


class TestStoring:
    async def test_the_end_is_stored_before_it_is_told(self, talk: Talk) -> None:
        seen: list[tuple[str, str]] = []
        async with talk:
            await talk.say({"say": ["Hel", "lo"]})
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                if event.data.object == "thread.run":
                    kept = await talk.stored._store.read(talk.thread, event.data.id)
                    assert kept is not None
                    seen.append((event.data.status, kept.run.status))
                if event.event == "thread.message.completed":
                    # Behind the layer that shows what is only being said.
                    stored = await talk.jan.messages.retrieve(talk.thread, event.data.id)
                    assert stored.status == "completed"
        order = ["queued", "queued", "in_progress", "completed"]
        assert [status for status, _ in seen] == order
        for told, kept_status in seen:
            assert order.index(kept_status) >= order.index(told)

    async def test_nobody_waits_for_the_disk_before_the_first_piece(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"], "hang": True})
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                if event.event == "thread.message.created":
                    # Its beginning, and that it goes on and says something: only the first was made to last.
                    assert talk.place.writes == [("queued", True), ("in_progress", False)]
                    break

    async def test_that_it_speaks_lasts_a_moment_later(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a "] * 30, "rate": 100, "hang": True})
            await talk.run()
            async with asyncio.timeout(10):
                while ("in_progress", True) not in talk.place.writes:
                    await asyncio.sleep(0.01)

    async def test_the_end_lasts_when_it_is_told(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"]})
            await talk.events()
            assert talk.place.writes[-1] == ("completed", True)
            await talk.say(CALL)
            await talk.events(tools=[FUNCTION])
            assert talk.place.writes[-1] == ("requires_action", True)

    async def test_the_text_is_kept_from_time_to_time(self, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(answering, "KEEP_SECONDS", 0.01)
        async with talk:
            await talk.say({"say": ["a "] * 20, "rate": 100, "hang": True})
            run = await talk.run()
            async with asyncio.timeout(10):
                while True:
                    kept = await talk.stored._store.read(talk.thread, run.id)
                    assert kept is not None
                    if len(text_of_saying(kept)) > 5:
                        break
                    await asyncio.sleep(0.01)

    async def test_a_text_that_cannot_be_kept_costs_nobody_the_answer(
        self, talk: Talk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answering, "KEEP_SECONDS", 0.0)

        async def fail(kept: KeptRun) -> None:
            if len(text_of_saying(kept)) > 0:
                raise OSError("no space left")

        async with talk:
            store = talk.stored._store
            assert isinstance(store, InMemory)
            store.before_write = fail
            await talk.say({"say": ["a "] * 5, "rate": 100})
            assert story(await talk.events()).run["status"] == "completed"


def text_of_saying(kept: KeptRun) -> str:
    saying = kept.request.get("saying") or {"content": []}
    return "".join(part["text"]["value"] for part in saying.get("content", []))


class TestCalls:
    async def test_a_run_waits_for_the_outputs_of_all_calls(self, talk: Talk) -> None:
        async with talk:
            await talk.say(CALL)
            told = story(await talk.events(tools=[FUNCTION]))
            (step,) = told.steps.values()
            assert step["status"] == "in_progress"
            run = await talk.end(told.run["id"])
            assert run.status == "requires_action"
            assert run.required_action is not None
            calls = run.required_action.submit_tool_outputs.tool_calls
            assert [one.function.arguments for one in calls] == ['{"a": 1}', "{"]
            details = (await talk.steps(run))[0].step_details
            assert [one.id for one in details.tool_calls] == wanted(run)

    async def test_with_them_it_goes_on_and_the_model_is_shown_them(self, talk: Talk) -> None:
        async with talk:
            await talk.say(CALL)
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            first, second = wanted(run)
            body = outputs((second, scripted(say=["three"], prompt_tokens=7)), (first, "two"))
            events = [one async for one in talk.jan.runs.submit_tool_outputs_stream(talk.thread, run.id, body)]
            assert names(events)[:3] == ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]
            assert names(events)[3:] == WHOLE[3:]
            told = story(events, resumed=True)
            steps = await talk.steps(run)
            assert await talk.answers() == [("completed", "three")]
        assert [one.status for one in steps] == ["completed", "completed"]
        assert [one.function.output for one in steps[0].step_details.tool_calls] == ["two", body.tool_outputs[0].output]
        total = told.run["usage"]
        assert total["completion_tokens"] == sum(one.usage.completion_tokens for one in steps)
        assert total["prompt_tokens"] == 1 + 7

    async def test_text_before_calls_is_a_message_and_is_not_shown_twice(self, talk: Talk) -> None:
        async with talk:
            await talk.say({**CALL, "say": ["Let ", "me see"]})
            told = story(await talk.events(tools=[FUNCTION]))
            assert [one["type"] for one in told.steps.values()] == ["message_creation", "tool_calls"]
            assert await talk.answers() == [("completed", "Let me see")]
            run = await talk.end(told.run["id"])
            await talk.jan.runs.submit_tool_outputs(
                talk.thread, run.id, outputs(*((one, scripted(say=["done"])) for one in wanted(run)))
            )
            run = await talk.end(run)
            assert await talk.answers() == [("completed", "Let me see"), ("completed", "done")]
        said = [(one.role, bool(getattr(one, "tool_calls", None))) for one in talk.engine.asked[-1].messages]
        assert said == [("user", False), ("assistant", True), ("tool", False), ("tool", False)]
        assert run.usage is not None
        assert run.usage.completion_tokens == 2 + 4 + 1

    async def test_a_call_is_forced_once(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": []})
            run = await talk.end(await talk.run(tools=[FUNCTION], tool_choice="required"))
            assert run.status == "requires_action"
            await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, outputs((wanted(run)[0], "fine")))
            assert (await talk.end(run)).status == "completed"
        assert [one.tool_choice for one in talk.engine.asked] == ["required", None]

    async def test_a_run_may_call_many_times(self, talk: Talk) -> None:
        async with talk:
            await talk.say(CALL)
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            for _ in range(3):
                again = scripted(call=[{"name": "add"}])
                await talk.jan.runs.submit_tool_outputs(
                    talk.thread, run.id, outputs(*((one, again) for one in wanted(run)))
                )
                run = await talk.end(run)
                assert run.status == "requires_action"
            await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, outputs((wanted(run)[0], "enough")))
            run = await talk.end(run)
            steps = await talk.steps(run)
        assert run.status == "completed"
        assert [one.type for one in steps] == ["tool_calls"] * 4 + ["message_creation"]


class TestLimits:
    async def test_the_answer_ends_at_max_completion_tokens(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"] * 300})
            told = story(await talk.events(max_completion_tokens=256))
            assert await talk.answers() == [("incomplete", "a" * 256)]
            messages = await talk.messages()
        assert told.run["status"] == "incomplete"
        assert told.run["incomplete_details"] == {"reason": "max_completion_tokens"}
        assert messages[-1].incomplete_details is not None
        assert messages[-1].incomplete_details.reason == "max_tokens"
        assert [one["status"] for one in told.steps.values()] == ["completed"]

    async def test_it_holds_for_all_answers_of_the_run(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"] * 200, **CALL})
            run = await talk.end(await talk.run(tools=[FUNCTION], max_completion_tokens=256))
            long = scripted(say=["b"] * 100)
            await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, outputs(*((one, long) for one in wanted(run))))
            run = await talk.end(run)
            assert (await talk.answers())[-1] == ("incomplete", "b" * (256 - 200 - 4))
        assert run.status == "incomplete"
        assert run.usage is not None
        assert run.usage.completion_tokens == 256

    async def test_where_nothing_is_left_no_answer_is_begun(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"] * 252, **CALL})
            run = await talk.end(await talk.run(tools=[FUNCTION], max_completion_tokens=256))
            await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, outputs(*((one, "x") for one in wanted(run))))
            run = await talk.end(run)
        assert (run.status, len(talk.engine.asked)) == ("incomplete", 1)

    async def test_where_it_has_read_all_it_may_it_ends(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"prompt_tokens": 300, **CALL})
            run = await talk.end(await talk.run(tools=[FUNCTION], max_prompt_tokens=256))
            await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, outputs(*((one, "x") for one in wanted(run))))
            run = await talk.end(run)
        assert run.status == "incomplete"
        assert run.incomplete_details is not None
        assert run.incomplete_details.reason == "max_prompt_tokens"


async def hear(talk: Talk, heard: list[Any]) -> None:
    async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
        heard.append(event)


class TestFailing:
    @pytest.mark.parametrize(
        ("script", "code", "sentence"),
        [
            ({"fail": "engine_error"}, "server_error", "The script says: the engine failed."),
            ({"fail": "context_length_exceeded"}, "invalid_prompt", "The script says: too long."),
            ({"fail": "a defect"}, "server_error", "The server failed"),
        ],
    )
    async def test_an_error_of_the_model_is_the_runs(
        self, talk: Talk, script: dict[str, Any], code: str, sentence: str
    ) -> None:
        async with talk:
            await talk.say(script)
            told = story(await talk.events())
        assert (told.run["status"], told.run["last_error"]["code"]) == ("failed", code)
        assert told.run["last_error"]["message"].startswith(sentence)
        assert told.steps == {}

    @pytest.mark.parametrize("fail", ["engine_error", "a defect"])
    async def test_what_was_said_before_it_is_kept(self, talk: Talk, fail: str) -> None:
        async with talk:
            await talk.say({"say": ["a", "b", "c"], "fail": fail, "fail_after": 2})
            told = story(await talk.events())
            assert await talk.answers() == [("incomplete", "ab")]
            messages = await talk.messages()
        assert told.run["status"] == "failed"
        assert [one["status"] for one in told.steps.values()] == ["failed"]
        assert messages[-1].incomplete_details is not None
        assert messages[-1].incomplete_details.reason == "run_failed"

    async def test_a_filter_ends_it(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"], "finish": "content_filter"})
            told = story(await talk.events())
            messages = await talk.messages()
        assert told.run["status"] == "failed"
        assert messages[-1].incomplete_details is not None
        assert messages[-1].incomplete_details.reason == "content_filter"

    async def test_a_model_that_is_gone_is_named(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"call": [{"name": "add", "arguments": {}}]})
            waiting = story(await talk.events(tools=[FUNCTION])).run
            (call,) = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
            await talk.jan.models.delete("scripted")
            body = ToolOutputsRequest.model_validate({"tool_outputs": [{"tool_call_id": call["id"], "output": "1"}]})
            run = await talk.end(await talk.jan.runs.submit_tool_outputs(talk.thread, waiting["id"], body))
        error = run.last_error
        assert error is not None
        assert (error.code, "scripted" in error.message) == ("invalid_prompt", True)

    async def test_tools_that_need_files_are_named(self, talk: Talk) -> None:
        async with talk:
            await talk.say("hello")
            told = story(await talk.events(tools=[{"type": "file_search"}]))
        assert told.run["last_error"]["code"] == "invalid_prompt"
        assert "file_search" in told.run["last_error"]["message"]

    async def test_an_answer_that_cannot_be_stored_is_not_told_as_stored(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"]})
            failing = True

            async def fail(kept: KeptRun) -> None:
                if failing and kept.run.ended:
                    raise OSError("no space left")

            store = talk.stored._store
            assert isinstance(store, InMemory)
            store.before_write = fail
            heard: list[Any] = []
            with pytest.raises((OSError, JanError)):
                await hear(talk, heard)
            assert "thread.run.completed" not in names(heard)
            failing = False
            # It is taken up again: the answer is in the thread, and is not given twice.
            run = heard[0].data
            talk.stored._loop.start(talk.thread, run.id)
            assert (await talk.end(run)).status == "completed"
            assert await talk.answers() == [("completed", "a")]
